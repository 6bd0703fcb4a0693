import { readFileSync } from 'node:fs'

import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { describe, expect, it } from 'vitest'

import * as errors from '../src/errors.ts'
import * as root from '../src/index.ts'
import { buildRepoCar, createTestKey } from '../src/testing/index.ts'

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

  it('repeat no more than 128 characters of what came in, whatever the class', () => {
    const long = 'x'.repeat(900_000)
    const classes = Object.entries(errors).filter(([name]) => name !== 'RepoError')
    expect(classes.length).toBe(names.length - 1)
    for (const [name, ErrorClass] of classes) {
      // Reasons, limits and kinds are this package's own words; everything else may be somebody's.
      const code = source('src/errors.ts')
      const [, parameters = ''] =
        new RegExp(`class ${name} [\\s\\S]*?constructor\\(([^)]*)\\)`).exec(code) ?? []
      const args = parameters
        .split(',')
        .map((parameter) => parameter.trim().split(/[?:]/)[0]!)
        .filter((parameter) => parameter !== '' && parameter !== 'options')
        .map((parameter) =>
          ['reason', 'limit', 'kind', 'field'].includes(parameter)
            ? 'no'
            : parameter === 'offset' || name === 'LimitExceededError'
              ? 1
              : long,
        )
      const error = Reflect.construct(ErrorClass as never, args) as Error
      expect([name, error.message.length < 520]).toEqual([name, true])
      expect([name, JSON.stringify(Object.entries(error)).length < 800]).toEqual([name, true])
    }
  })

  it('repeat no more of hostile input than that when it is really refused', async () => {
    const long = 'x'.repeat(900_000)
    const did = 'did:web:a.example.com'
    const key = createTestKey()
    const collection = 'com.example.note'
    const bigCid = CID.createV1(0x71, createDigest(0x12, new Uint8Array(600_000)))
    const bytes = root.encodeCbor({ $type: collection })
    const cid = root.cidForCbor(bytes)
    const { car } = await buildRepoCar({
      did,
      signer: key,
      records: { [`${collection}/a`]: { $type: collection } },
    })
    const store = root.createMemoryRepoStore()
    const { repo } = await root.Repo.create(store, { did, signer: key })
    const write = (rkey: string, more: object): Promise<unknown> =>
      repo.applyWrites([
        { action: 'put', collection, rkey, record: { $type: collection }, ...more } as never,
      ])
    const { commit } = await repo.applyWrites([
      { action: 'create', collection, rkey: 'a', record: { $type: collection } },
    ])
    const input = { ...commit!, commit: commit!.cid, key }
    const record = (value: unknown): unknown => ({ [long.slice(0, 8_000)]: value })
    let nested: unknown = 1.5
    for (let n = 0; n < 30; n++) nested = record(nested)
    const attempts: readonly (() => unknown)[] = [
      () => root.Repo.open(store, { did: `did:web:${long}`, signer: key }),
      () => root.Repo.open(store, { did: `did:plc:${'a'.repeat(2_000)}`, signer: key }),
      () => root.importRepo(store, car, { did: long, signer: key }),
      () => write(long, {}),
      () => write('a', { collection: long }),
      () => write('a', { swapRecord: bigCid }),
      () => write('a', { action: long }),
      () => write('a', { record: { $type: long } }),
      () => write('a', { record: { $type: collection, link: bigCid } }),
      () => write('a', { record: { $type: collection, blob: { $type: 'blob', ref: long } } }),
      () => write('x'.repeat(512), { action: 'delete' }),
      () => repo.applyWrites([], { swapCommit: bigCid }),
      () => repo.proof(long, long),
      () => root.parsePath(long),
      () => root.parseTid(long),
      () => root.parseCid(long),
      () => root.jsonToLex(nested),
      () => root.lexToJson(nested),
      () => root.jsonToLex({ $link: long }),
      () => root.jsonToLex({ $bytes: `${long}!` }),
      () => root.decodeCbor(new TextEncoder().encode(long)),
      () => root.decodeCar(new TextEncoder().encode(long)),
      () => root.verifyCommit({ ...input, did: long }),
      () => root.verifyCommit({ ...input, rev: long }),
      () => root.verifyCommit({ ...input, commit: bigCid }),
      () => root.verifyCommit({ ...input, prevData: bigCid }),
      () => root.verifyCommit({ ...input, ops: [{ action: 'create', path: long, cid }] }),
      () => root.verifyCommit({ ...input, ops: [{ action: long as 'create', path: 'a', cid }] }),
      () => root.verifyCommit({ ...input, ops: [{ ...input.ops[0]!, cid: bigCid }] }),
      () =>
        root.verifyCommit({
          ...input,
          ops: [{ ...input.ops[0]!, action: 'update', prev: bigCid }],
        }),
      () => root.verifyCommit({ ...input, ops: [{ ...input.ops[0]!, path: 7 as never }] }),
      () => root.verifyRecordProof(car, { did, key, path: long }),
      () => root.verifyRepoSync(car, { did: long, key }),
      () => root.verifyRepoSync(car, { did, key, minRev: `z${long}` }),
      () => root.findNeighbours(car, bigCid, [long]),
      () => root.Mst.empty().put(long, cid),
      () => root.Mst.open(bigCid, () => undefined),
    ]
    let refused = 0
    for (const [index, attempt] of attempts.entries()) {
      try {
        await attempt()
        expect.unreachable(`attempt ${index} is refused`)
      } catch (error) {
        expect([index, error instanceof errors.RepoError, error]).toEqual([index, true, error])
        const { message } = error as Error
        expect([index, message.length < 520]).toEqual([index, true])
        expect(message).not.toMatch(/[^\s=]{130}/)
        refused++
      }
    }
    expect(refused).toBe(attempts.length)
  })
})
