import { describe, expect, it } from 'vitest'

import {
  cidForCbor,
  cidFromBytes,
  createMemoryRepoStore,
  decodeCar,
  encodeCar,
  encodeCbor,
  decodeCbor,
  importRepo,
  readRepo,
  Repo,
  type RepoStore,
  verifyRepo,
} from '../src/index.ts'
import { openSqliteRepoStore } from '../src/stores/sqlite.ts'
import { createTestKey } from '../src/testing/index.ts'
import { gather } from './support/gather.ts'

// The `slice` of a Node Buffer is a view, not a copy, and its memory is often used again.

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'
const RECORDS = 300

/** A repo, its blocks in an order that makes readers keep most of them. */
async function buildShuffledCar(): Promise<Buffer> {
  const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
  for (let at = 0; at < RECORDS; at += 100) {
    await repo.applyWrites(
      Array.from({ length: 100 }, (_, n) => ({
        action: 'create' as const,
        collection,
        rkey: `k${at + n}`,
        record: { $type: collection, n: at + n, link: cidForCbor(encodeCbor({ n })) },
      })),
    )
  }
  const { roots, blocks } = decodeCar(Buffer.concat(await gather(repo.export())))
  return Buffer.from(encodeCar(roots, [...blocks].toReversed()))
}

/** Gives the bytes in pieces that all lie in the same memory. */
async function* inOnePlace(bytes: Buffer): AsyncGenerator<Buffer, void, void> {
  const place = Buffer.alloc(1000)
  for (let at = 0; at < bytes.length; at += place.length) {
    const length = bytes.copy(place, 0, at)
    yield place.subarray(0, length)
    await Promise.resolve()
    place.fill(0)
  }
}

describe.each<readonly [string, () => RepoStore]>([
  ['memory', () => createMemoryRepoStore()],
  ['sqlite', () => openSqliteRepoStore({ database: ':memory:' })],
])('importRepo into %s', (_, open) => {
  it('keeps nothing of memory that is not its own', async () => {
    const car = await buildShuffledCar()
    for (const source of [inOnePlace(car), Buffer.from(car)]) {
      const store = open()
      const { recordCount } = await importRepo(store, source, { did, key, signer: key })
      if (Buffer.isBuffer(source)) source.fill(0)
      expect(recordCount).toBe(RECORDS)
      const repo = await Repo.open(store, { did, signer: key })
      expect((await verifyRepo(repo.export(), { did, key })).recordCount).toBe(RECORDS)
    }
  })
})

describe('readRepo', () => {
  it('keeps nothing of memory that is not its own', async () => {
    const { records } = await readRepo(inOnePlace(await buildShuffledCar()), { did, key })
    let count = 0
    for await (const { cid, bytes } of records) {
      expect(cidForCbor(bytes).equals(cid)).toBe(true)
      count++
    }
    expect(count).toBe(RECORDS)
  })
})

describe('a CID', () => {
  it('keeps its own bytes', () => {
    const cid = cidForCbor(encodeCbor({ text: 'hello' }))
    const read = Buffer.from(cid.bytes)
    const record = Buffer.from(encodeCbor({ link: cid }))
    const fromBytes = cidFromBytes(read)
    const { link } = decodeCbor(record) as { readonly link: typeof cid }
    read.fill(0)
    record.fill(0)
    expect(fromBytes.equals(cid)).toBe(true)
    expect(link.equals(cid)).toBe(true)
  })
})
