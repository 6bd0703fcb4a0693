import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import * as root from '../src/index.ts'
import * as cbor from '../src/cbor.ts'
import * as sqlite from '../src/stores/sqlite.ts'
import * as testing from '../src/testing/index.ts'

const packageFolder = fileURLToPath(new URL('..', import.meta.url))
const folder = join(packageFolder, '.cache', 'readme')
const readme = readFileSync(join(packageFolder, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code ?? '')

describe('the README', () => {
  beforeAll(() => {
    mkdirSync(folder, { recursive: true })
    for (const [index, code] of blocks.entries())
      writeFileSync(join(folder, `block${index}.ts`), code)
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: '../../../../tsconfig.base.json',
        compilerOptions: {
          composite: false,
          declaration: false,
          isolatedDeclarations: false,
          noEmit: true,
        },
        include: ['*.ts'],
      }),
    )
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('has at most 250 lines and the snippets this test expects', () => {
    expect(readme.split('\n').length).toBeLessThanOrEqual(250)
    expect(blocks.length).toBe(5)
  })

  it('names every export in its API table, whose limits and errors it names together, and every error in the other', () => {
    const exported = new Set([root, cbor, sqlite, testing].flatMap((entry) => Object.keys(entry)))
    const names = (from: string, to: string) => {
      const section = readme.slice(readme.indexOf(from), readme.indexOf(to))
      return new Set([...section.matchAll(/`([A-Za-z_]\w*)/g)].map(([, name]) => name ?? ''))
    }
    const api = names('## API', '## Guarantees')
    const listed = [...exported].filter(
      (name) => !/^[A-Z_]+$/.test(name) && !name.endsWith('Error'),
    )
    expect(listed.length).toBeGreaterThan(30)
    expect(listed.filter((name) => !api.has(name))).toEqual([])
    const told = names('## Errors', '## Conformance')
    const errors = [...exported].filter((name) => name.endsWith('Error') && /^[A-Z]/.test(name))
    expect(errors.length).toBeGreaterThan(10)
    expect(
      errors.filter((name) => !told.has(name) && !told.has(name.replace(/Error$/, ''))),
    ).toEqual([])
  })

  it('has snippets that compile', () => {
    const tsc = join(packageFolder, '../../node_modules/.bin/tsc')
    try {
      execFileSync(tsc, ['-p', folder], { encoding: 'utf8' })
    } catch (error) {
      throw new Error((error as { stdout?: string }).stdout ?? 'tsc failed', { cause: error })
    }
  })

  it.each(blocks.map((_, index) => index))('has a snippet %i that runs', (index) => {
    execFileSync(
      process.execPath,
      [
        '--conditions=@skywright/source',
        '--experimental-strip-types',
        '--disable-warning=ExperimentalWarning',
        join(folder, `block${index}.ts`),
      ],
      { encoding: 'utf8', stdio: 'pipe' },
    )
  })
})
