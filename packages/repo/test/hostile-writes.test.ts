import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { describe, expect, it } from 'vitest'

import {
  checkCbor,
  checkLex,
  cidForCbor,
  createMemoryRepoStore,
  decodeCbor,
  encodeCbor,
  InvalidCborError,
  InvalidCidError,
  InvalidDataError,
  InvalidSyntaxError,
  InvalidWriteError,
  jsonToLex,
  keyDepth,
  LimitExceededError,
  Mst,
  Repo,
  type RepoWrite,
  verifyCommit,
  verifyRepo,
} from '../src/index.ts'
import { createTestKey } from '../src/testing/index.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'
const oldCid = CID.parse('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG')

async function start(): Promise<Repo> {
  const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
  return repo
}

/** Writes what the types forbid: callers may hand on what a client sent. */
function write(repo: Repo, write: unknown): ReturnType<Repo['applyWrites']> {
  return repo.applyWrites([write as RepoWrite])
}

/** Rkeys whose paths all lie at the bottom of the tree, `length` characters long. */
function* bottomRkeys(length: number): Generator<string, void, void> {
  for (let n = 0; ; n++) {
    const rkey = `k${String(n).padStart(length - 1, '0')}`
    if (keyDepth(`${collection}/${rkey}`) === 0) yield rkey
  }
}

describe('mined record keys', () => {
  // Nobody, ourselves included, reads a node of more entries or key bytes than the bounds.
  it.each([
    ['entries', 12, 1_024, 'mstNodeEntries'],
    ['long keys', 512, 495, 'mstNodeKeyBytes'],
  ])('never make a node that cannot be read again, by %s', async (_name, length, fits, limit) => {
    const repo = await start()
    const rkeys = bottomRkeys(length)
    const record = { $type: collection }
    const next = (): RepoWrite => ({
      action: 'create',
      collection,
      rkey: String(rkeys.next().value),
      record,
    })
    let written = 0
    for (const size of [200, 200, 95, 200, 200, 129]) {
      if (written + size > fits) break
      const { commit } = await repo.applyWrites(Array.from({ length: size }, next))
      verifyCommit({ ...commit!, commit: commit!.cid, key })
      written += size
    }
    expect(written).toBe(fits)
    const head = await repo.head()
    let refused: unknown
    for (let n = 0; n < 20 && refused === undefined; n++) {
      refused = await write(repo, next()).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (refused === undefined) written++
    }
    expect(refused).toBeInstanceOf(LimitExceededError)
    expect(refused).toMatchObject({ limit })
    if (written === fits) expect((await repo.head()).rev).toBe(head.rev)
    expect((await verifyRepo(repo.export(), { did, key })).recordCount).toBe(written)
    // A higher key in the middle parts the node: the repo goes on.
    let middle = Math.floor(fits / 2)
    const rkeyOf = (n: number): string => `k${String(n).padStart(length - 1, '0')}`
    while (keyDepth(`${collection}/${rkeyOf(middle)}`) === 0) middle++
    await write(repo, { action: 'create', collection, rkey: rkeyOf(middle), record })
    await write(repo, next())
    expect((await verifyRepo(repo.export(), { did, key })).recordCount).toBe(written + 2)
  })
})

describe('a write that the types forbid', () => {
  const record = { $type: collection }
  it.each([
    ['nothing', null, InvalidWriteError],
    ['an unknown action', { action: 'nuke', collection, rkey: 'x', record }, InvalidWriteError],
    ['no action', { collection, rkey: 'x', record }, InvalidWriteError],
    ['no collection', { action: 'create', rkey: 'x', record }, InvalidSyntaxError],
    [
      'a collection of another type',
      { action: 'put', collection: [collection], rkey: 'x', record },
      InvalidSyntaxError,
    ],
    ['a number for an rkey', { action: 'create', collection, rkey: 5, record }, InvalidSyntaxError],
    ['no record', { action: 'create', collection, rkey: 'x' }, InvalidWriteError],
    [
      'bytes for a record',
      { action: 'create', collection, rkey: 'x', record: Object.assign(new Uint8Array(3), record) },
      InvalidWriteError,
    ],
    [
      'a link for a record',
      {
        action: 'create',
        collection,
        rkey: 'x',
        record: Object.assign(CID.parse(cidForCbor(encodeCbor({})).toString()), record),
      },
      InvalidWriteError,
    ],
    [
      'a swap that is no CID',
      { action: 'put', collection, rkey: 'x', record, swapRecord: 'bafy' },
      InvalidWriteError,
    ],
    [
      'a link of version 0',
      { action: 'put', collection, rkey: 'x', record: { ...record, link: oldCid } },
      InvalidCborError,
    ],
  ])('is refused: %s', async (_name, input, error) => {
    const repo = await start()
    const { rev } = await repo.head()
    await expect(write(repo, input)).rejects.toThrow(error)
    expect((await repo.head()).rev).toBe(rev)
    await write(repo, { action: 'create', collection, rkey: 'after', record })
  })
})

describe('what is encoded', () => {
  it('is always what the strict decoder takes', () => {
    let accepted = 0
    const special = fc.constantFrom<unknown>(
      -0,
      2 ** 53,
      2 ** 53 - 1,
      -(2 ** 53 - 1),
      NaN,
      1.5,
      10n,
      -10n,
      '\ud800',
      '\ufeffx',
      'é'.repeat(5_000),
      undefined,
      oldCid,
      cidForCbor(encodeCbor({})),
      new Uint8Array(3),
      new Date(0),
      JSON.parse('{"__proto__":{"constructor":1}}'),
      { ['é'.repeat(4_097)]: 1 },
      { ['é'.repeat(4_096)]: 1 },
      [, 1], // oxlint-disable-line no-sparse-arrays
    )
    const anything = fc.anything({
      values: [
        fc.integer(),
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.constant(null),
        special,
      ],
      withNullPrototype: true,
    })
    fc.assert(
      fc.property(anything, (value) => {
        let bytes: Uint8Array
        try {
          bytes = encodeCbor(value)
        } catch (error) {
          if (error instanceof InvalidCborError) return
          throw error
        }
        accepted++
        checkCbor(bytes)
        expect(encodeCbor(decodeCbor(bytes))).toEqual(bytes)
      }),
      { numRuns: 3_000, seed: 4 },
    )
    expect(accepted).toBeGreaterThan(500)
  })

  it('has keys of at most 8,192 bytes, not characters', () => {
    const long = { ['é'.repeat(4_097)]: 1 }
    expect(() => encodeCbor(long)).toThrow(InvalidCborError)
    expect(() => jsonToLex(long)).toThrow(InvalidDataError)
    expect(() => checkLex(long)).toThrow(InvalidDataError)
    const fits = { ['é'.repeat(4_096)]: 1 }
    expect(decodeCbor(encodeCbor(jsonToLex(fits)))).toEqual(fits)
  })

  it.each([31, 32, 33])('is nested as deeply as what is decoded: %i', (depth) => {
    let value: unknown = 1
    for (let n = 0; n < depth; n++) value = n % 2 === 0 ? [value] : { a: value }
    if (depth <= 32) expect(decodeCbor(encodeCbor(value))).toEqual(value)
    else expect(() => encodeCbor(value)).toThrow(InvalidCborError)
  })

  it('has no holes', () => {
    // oxlint-disable-next-line no-sparse-arrays
    const sparse = { a: [, 1] }
    expect(() => encodeCbor(sparse)).toThrow(InvalidCborError)
    expect(() => checkLex(sparse)).toThrow(InvalidDataError)
    expect(() => jsonToLex(sparse)).toThrow(InvalidDataError)
  })
})

describe('a tree', () => {
  const value = cidForCbor(encodeCbor({}))
  it('takes no key or value that no tree may hold', () => {
    expect(() => Mst.empty().put('', value)).toThrow(RangeError)
    expect(() => Mst.empty().put('k'.repeat(1_025), value)).toThrow(LimitExceededError)
    expect(() => Mst.empty().put('com.example.a/b', oldCid)).toThrow(InvalidCidError)
    const fits = Mst.empty().put('k'.repeat(1_024), value)
    expect(fits.get('k'.repeat(1_024))?.equals(value)).toBe(true)
  })
})
