import { beforeAll, describe, expect, it } from 'vitest'

import {
  checkCbor,
  cidForCbor,
  type Commit,
  createMemoryRepoStore,
  decodeCar,
  decodeCbor,
  decodeCommit,
  encodeCar,
  encodeCbor,
  findNeighbours,
  importRepo,
  jsonToLex,
  readCar,
  readRepo,
  Repo,
  RepoError,
  verifyCommit,
  verifyRecordProof,
  verifyRepoSync,
} from '../src/index.ts'
import { buildRepoCar, createTestKey } from '../src/testing/index.ts'
import { createRandom, type Random } from './random.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'
const records = Object.fromEntries(
  Array.from({ length: 60 }, (_, n) => [`${collection}/k${n}`, { $type: collection, n }]),
)
/** Raise it to look for longer: `FUZZ_ROUNDS=20000`. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 150)
/** Bytes that mean something to CBOR, varints and UTF-8. */
const TELLING = [0, 0xff, 0x7f, 0x80, 0x1b, 0x3b, 0x5b, 0x7b, 0x9b, 0xbb, 0xd8, 0xf6, 0xf7, 0xfb]

let car: Uint8Array
let commit: Commit

beforeAll(async () => {
  ;({ car } = await buildRepoCar({ did, signer: key, records }))
  const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
  const writes = Object.values(records).map((record, n) => ({
    action: 'create' as const,
    collection,
    rkey: `k${n}`,
    record,
  }))
  commit = (await repo.applyWrites(writes)).commit!
})

function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = new Uint8Array(bytes)
  for (let n = random.integer(1, 4); n > 0; n--) {
    const at = random.integer(0, copy.length - 1)
    copy[at] = random.chance(0.4) ? random.pick(TELLING) : copy[at]! ^ (1 << random.integer(0, 7))
  }
  return random.chance(0.2) ? copy.slice(0, random.integer(0, copy.length)) : copy
}

/** Damages one block behind a right hash: what is wrong lies deeper. */
function damagedWithin(random: Random): Uint8Array {
  const { roots, blocks } = decodeCar(car)
  const list = [...blocks]
  const index = random.integer(0, list.length - 1)
  const bytes = damaged(list[index]!.bytes, random)
  list[index] = { cid: cidForCbor(bytes), bytes }
  return encodeCar(index === 0 ? [list[0]!.cid] : roots, list)
}

describe('damaged input', () => {
  it('is refused with a typed error by every reader, or read', async () => {
    const random = createRandom(20)
    let refused = 0
    let read = 0
    const attempt = async (work: () => unknown): Promise<void> => {
      try {
        await work()
        read++
      } catch (error) {
        if (!(error instanceof RepoError)) throw error
        expect(error.message.length).toBeLessThan(520)
        refused++
      }
    }
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = random.chance(0.5) ? damaged(car, random) : damagedWithin(random)
      await attempt(() => verifyRepoSync(bytes, { did }))
      await attempt(() => verifyRepoSync(bytes, { did, mode: 'tolerant' }))
      await attempt(async () => {
        const pieces = [bytes.subarray(0, 100), bytes.subarray(100)]
        for await (const { path } of (await readRepo(pieces, { did })).records)
          expect(path).toContain('/')
      })
      await attempt(async () => {
        for await (const { cid } of (await readCar([bytes])).blocks) expect(cid.version).toBe(1)
      })
      const store = createMemoryRepoStore()
      await attempt(() => importRepo(store, [bytes], { did, signer: key }))
      await attempt(() =>
        importRepo(createMemoryRepoStore(), bytes, { did, signer: key, mode: 'tolerant' }),
      )
      await attempt(() => verifyRecordProof(bytes, { did, key, path: `${collection}/k1` }))
      const blocks = damaged(commit.blocks, random)
      await attempt(() => verifyCommit({ ...commit, commit: commit.cid, blocks, key }))
      await attempt(() => findNeighbours(blocks, commit.data, [`${collection}/zz`]))
      const item = damaged(encodeCbor({ a: [1, 'ä', null], b: commit.data, c: { d: -5 } }), random)
      await attempt(() => jsonToLex(decodeCbor(item, { mode: 'tolerant' })))
      await attempt(() => checkCbor(item))
      await attempt(() => decodeCommit(damaged(commit.bytes, random)))
      // What is taken is canonical.
      await attempt(() => expect(encodeCbor(decodeCbor(item))).toEqual(item))
    }
    expect(refused).toBeGreaterThan(ROUNDS * 5)
    expect(read).toBeGreaterThan(ROUNDS)
  })
})
