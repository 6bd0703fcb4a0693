import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import * as errors from '../src/errors.ts'
import * as root from '../src/index.ts'

const source = (name: string): string =>
  readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')

describe('errors', () => {
  const names = [...source('src/errors.ts').matchAll(/export (?:abstract )?class (\w+)/g)].map(
    ([, name]) => name!,
  )

  it('are all exported from the root and told in the README', () => {
    expect(names.length).toBeGreaterThan(20)
    const readme = source('README.md')
    for (const name of names) {
      expect(root).toHaveProperty(name)
      if (name !== 'RepoError') expect(readme).toContain(`\`${name}\``)
    }
  })

  it('are all thrown somewhere', () => {
    const files = [
      'blobs',
      'cbor',
      'cbor-reader',
      'cid',
      'commit',
      'edit-tree',
      'export',
      'import',
      'json',
      'path',
      'prepare-writes',
      'repo',
      'verify-commit',
      'verify-repo',
      'mst/node',
    ]
    const code =
      files.map((name) => source(`src/${name}.ts`)).join('\n') +
      source('src/stores/memory.ts') +
      source('src/car/decode.ts')
    for (const name of names) {
      if (name !== 'RepoError') expect([name, code.includes(`new ${name}(`)]).toEqual([name, true])
    }
  })

  it('repeat no more than 128 characters of what came in', () => {
    const long = 'x'.repeat(1_000_000)
    for (const error of [
      new errors.InvalidSyntaxError('did', long, 'no'),
      new errors.InvalidDataError('no', long),
      new errors.InvalidOpsError('no', long),
      new errors.CommitMismatchError('did', long, long),
      new errors.StaleRevError(long, long),
      new errors.InvalidWriteError('no', long),
      new errors.RecordNotFoundError(long),
      new errors.RepoNotFoundError(long),
      new errors.InvalidRecordError(long, 'no'),
    ]) {
      expect(error.message.length).toBeLessThan(400)
      expect(JSON.stringify(Object.entries(error)).length).toBeLessThan(600)
    }
  })
})
