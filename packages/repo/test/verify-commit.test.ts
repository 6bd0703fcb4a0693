import { beforeAll, describe, expect, it } from 'vitest'

import {
  type BlockMap,
  type Cid,
  cidForCbor,
  type Commit,
  createMemoryRepoStore,
  decodeCar,
  encodeCar,
  encodeCbor,
  keyDepth,
  Mst,
  Repo,
  RepoError,
  type RepoErrorCode,
  type RepoOp,
  type RepoWrite,
  verifyCommit,
  type VerifyCommitInput,
} from '../src/index.ts'
import { createTestKey } from '../src/testing/index.ts'
import { createRandom } from './random.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'

function inputOf(commit: Commit): VerifyCommitInput {
  const { rev, cid, ops, blocks, since, prevData } = commit
  return { did, rev, commit: cid, ops, blocks, since, prevData, key }
}

function codeOf(input: VerifyCommitInput): RepoErrorCode | 'accepted' {
  try {
    verifyCommit(input)
    return 'accepted'
  } catch (error) {
    if (error instanceof RepoError) return error.code
    throw error
  }
}

function withBlocks(
  commit: Commit,
  keep: (cid: string) => boolean,
  extra: readonly Uint8Array[] = [],
): Uint8Array {
  const { roots, blocks } = decodeCar(commit.blocks)
  return encodeCar(roots, [
    ...[...blocks].filter(({ cid }) => keep(cid.toString())),
    ...extra.map((bytes) => ({ cid: cidForCbor(bytes), bytes })),
  ])
}

function create(rkey: string): RepoWrite {
  return { action: 'create', collection, rkey, record: { $type: collection, rkey } }
}

/** Gives a record key of a depth. */
function rkeyAt(prefix: string, depth: number): string {
  for (let n = 0; ; n++) {
    const rkey = `${prefix}${n}`
    if (keyDepth(`${collection}/${rkey}`) === depth) return rkey
  }
}

describe('verifyCommit', () => {
  let repo: Repo
  let first: Commit
  let commit: Commit
  let input: VerifyCommitInput

  beforeAll(async () => {
    const made = await Repo.create(createMemoryRepoStore(), { did, signer: key })
    repo = made.repo
    first = made.commit
    for (let i = 0; i < 5; i++) {
      await repo.applyWrites(Array.from({ length: 150 }, (_, n) => create(`k${i * 150 + n}`)))
    }
    const result = await repo.applyWrites([
      create('new'),
      { action: 'update', collection, rkey: 'k5', record: { $type: collection, changed: true } },
      { action: 'delete', collection, rkey: 'k9' },
    ])
    commit = result.commit!
    input = inputOf(commit)
  })

  const other = cidForCbor(encodeCbor({ other: true }))
  const change = (
    ops: readonly RepoOp[],
    path: string,
    changed: Partial<RepoOp>,
  ): readonly RepoOp[] => ops.map((op) => (op.path.endsWith(path) ? { ...op, ...changed } : op))

  it('accepts the commit as it is, ops in any order, blocks in any order, with more blocks than needed', () => {
    expect(codeOf(input)).toBe('accepted')
    expect(codeOf({ ...input, ops: input.ops.toReversed() })).toBe('accepted')
    const { roots, blocks } = decodeCar(commit.blocks)
    expect(codeOf({ ...input, blocks: encodeCar(roots, [...blocks].toReversed()) })).toBe(
      'accepted',
    )
    expect(
      codeOf({ ...input, blocks: withBlocks(commit, () => true, [encodeCbor({ stray: 1 })]) }),
    ).toBe('accepted')
  })

  it.each<[string, RepoErrorCode, (valid: VerifyCommitInput) => Partial<VerifyCommitInput>]>([
    ['another account', 'CommitMismatch', () => ({ did: 'did:web:mallory.example.com' })],
    ['another rev', 'CommitMismatch', () => ({ rev: '3kaaaaaaaaa22' })],
    ['another commit cid', 'CommitMismatch', () => ({ commit: other })],
    ['another key', 'InvalidSignature', () => ({ key: createTestKey('other') })],
    ['another prevData', 'CommitMismatch', () => ({ prevData: other })],
    ['the same data as prevData', 'CommitMismatch', () => ({ prevData: commit.data })],
    ['no prevData', 'InvalidProof', () => ({ prevData: undefined })],
    ['no past at all', 'CommitMismatch', () => ({ prevData: undefined, since: null })],
    ['no ops', 'CommitMismatch', () => ({ ops: [] })],
    ['an op left out', 'CommitMismatch', ({ ops }) => ({ ops: ops.slice(1) })],
    ['an op twice', 'InvalidOps', ({ ops }) => ({ ops: [...ops, ...ops.slice(0, 1)] })],
    [
      'an op nobody did',
      'InvalidOps',
      ({ ops }) => ({ ops: [...ops, { action: 'create', path: `${collection}/no`, cid: other }] }),
    ],
    [
      'a delete nobody did',
      'CommitMismatch',
      ({ ops }) => ({
        ops: [...ops, { action: 'delete', path: `${collection}/no`, cid: null, prev: other }],
      }),
    ],
    [
      'a delete of what is there',
      'InvalidOps',
      ({ ops }) => ({ ops: change(ops, '/k5', { action: 'delete', cid: null }) }),
    ],
    [
      'another cid of a create',
      'InvalidOps',
      ({ ops }) => ({ ops: change(ops, '/new', { cid: other }) }),
    ],
    [
      'another prev of an update',
      'CommitMismatch',
      ({ ops }) => ({ ops: change(ops, '/k5', { prev: other }) }),
    ],
    [
      'another prev of a delete',
      'CommitMismatch',
      ({ ops }) => ({ ops: change(ops, '/k9', { prev: other }) }),
    ],
    [
      'an update told as a create',
      'InvalidOps',
      ({ ops }) => ({ ops: change(ops, '/k5', { action: 'create' }) }),
    ],
    [
      'a create told as an update',
      'InvalidOps',
      ({ ops }) => ({ ops: change(ops, '/new', { action: 'update' }) }),
    ],
    [
      'a create told as an update of something',
      'CommitMismatch',
      ({ ops }) => ({ ops: change(ops, '/new', { action: 'update', prev: other }) }),
    ],
    [
      'an unknown action',
      'InvalidOps',
      ({ ops }) => ({ ops: change(ops, '/new', { action: 'upsert' as 'create' }) }),
    ],
    [
      'a path that is none',
      'InvalidOps',
      ({ ops }) => ({ ops: change(ops, '/new', { path: 'com.example.note' }) }),
    ],
    [
      'a collection not normalised',
      'InvalidOps',
      ({ ops }) => ({ ops: change(ops, '/new', { path: 'COM.example.note/new' }) }),
    ],
    [
      '201 ops',
      'LimitExceeded',
      ({ ops }) => ({ ops: Array.from({ length: 201 }, () => ops[0]!) }),
    ],
    [
      '2,000,001 bytes of blocks',
      'LimitExceeded',
      ({ blocks }) => ({
        blocks: new Uint8Array(Buffer.concat([blocks, Buffer.alloc(2_000_001 - blocks.length)])),
      }),
    ],
    ['blocks cut off', 'InvalidCar', ({ blocks }) => ({ blocks: blocks.slice(0, -1) })],
    ['no blocks', 'InvalidCar', () => ({ blocks: new Uint8Array(0) })],
  ])('refuses %s', (_defect, expected, mutate) => {
    expect(codeOf({ ...input, ...mutate(input) })).toBe(expected)
  })

  it('needs the record of every create and update', () => {
    for (const { cid } of commit.ops) {
      if (cid === null) continue
      const blocks = withBlocks(commit, (candidate) => candidate !== cid.toString())
      expect(codeOf({ ...input, blocks })).toBe('ProofIncomplete')
    }
  })

  it('says which operation is told twice', () => {
    const ops = [...input.ops, ...input.ops.slice(-1)]
    const reason = 'two operations on one path'
    expect(() => verifyCommit({ ...input, ops })).toThrow(expect.objectContaining({ reason }))
  })

  it('tells of every block that is missing, and never accepts without a block it needs', () => {
    const { blocks } = decodeCar(commit.blocks)
    let needed = 0
    for (const { cid } of blocks) {
      const text = cid.toString()
      const outcome = codeOf({
        ...input,
        blocks: withBlocks(commit, (candidate) => candidate !== text),
      })
      if (outcome === 'ProofIncomplete') needed++
      else expect([text, outcome]).toEqual([text, 'accepted'])
    }
    // The commit, the records and the search paths at the very least.
    expect(needed).toBeGreaterThan(8)
  })

  it('proves a commit whose slice reaches only for undoing from the last path to the first', async () => {
    const [a, b, c, d] = [rkeyAt('a', 1), rkeyAt('b', 0), rkeyAt('c', 2), rkeyAt('d', 0)]
    const { repo: small } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
    const { commit: before } = await small.applyWrites([create(a), create(b)])
    const { commit: after } = await small.applyWrites([create(c), create(d)])
    const old = new Set([...decodeCar(before!.blocks).blocks].map(({ cid }) => cid.toString()))
    expect(decodeCar(after!.blocks).blocks.has(before!.data)).toBe(true)
    const blocks = withBlocks(after!, (cid) => !old.has(cid))
    expect(codeOf({ ...inputOf(after!), blocks })).toBe('accepted')
  })

  it('proves a commit whose slice reaches only for undoing what was deleted first', async () => {
    const [a, b, c, d, e] = [0, 2, 4, 1, 0].map((depth, at) => rkeyAt('abcde'[at]!, depth))
    const { repo: small } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
    await small.applyWrites([create(a!), create(c!), create(e!)])
    const { commit: after } = await small.applyWrites([
      create(b!),
      { action: 'delete', collection, rkey: c! },
      create(d!),
    ])
    const nodes = [...Mst.open(after!.data, decodeCar(after!.blocks).blocks).nodes()]
    const [root, keyless, ofA, ofD, ofE] = nodes.map(({ cid }) => cid.toString())
    expect([root, ofD]).not.toContain(undefined)
    const blocks = withBlocks(after!, (cid) => ![keyless, ofA, ofE].includes(cid))
    expect(codeOf({ ...inputOf(after!), blocks })).toBe('accepted')
  })

  it('takes a tree below keyless nodes that are not at hand for unknown, not for another one', async () => {
    const { repo: small } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
    await small.applyWrites([create(rkeyAt('a', 0))])
    const { commit: after } = await small.applyWrites([create(rkeyAt('b', 2))])
    const { blocks } = decodeCar(after!.blocks)
    const [, keyless, root] = [...Mst.open(after!.data, blocks).nodes()].map(({ cid }) => cid)
    expect(root!.toString()).toBe(after!.prevData!.toString())
    const without = (left: Cid): Uint8Array => withBlocks(after!, (cid) => cid !== left.toString())
    expect(codeOf({ ...inputOf(after!), blocks: without(root!) })).toBe('accepted')
    expect(codeOf({ ...inputOf(after!), blocks: without(keyless!) })).toBe('ProofIncomplete')
  })

  it('accepts the first commit, and one without operations by its unchanged data', async () => {
    expect(codeOf(inputOf(first))).toBe('accepted')
    const again = await repo.resign()
    expect(again.ops).toEqual([])
    expect(decodeCar(again.blocks).blocks.size).toBe(1)
    expect(codeOf(inputOf(again))).toBe('accepted')
    expect(codeOf({ ...inputOf(again), prevData: other })).toBe('CommitMismatch')
    expect(codeOf({ ...inputOf(again), prevData: undefined, since: null })).toBe('CommitMismatch')
  })

  it('accepts an update to what was there already, which is true if idle', async () => {
    const again = await repo.resign()
    const path = `${collection}/k7`
    const { cid } = (await repo.get(collection, 'k7'))!
    const blocks = await repo.proof(collection, 'k7')
    const ops = [{ action: 'update', path, cid, prev: cid }] as const
    expect(codeOf({ ...inputOf(again), blocks, ops })).toBe('accepted')
    expect(codeOf({ ...inputOf(again), blocks, ops, prevData: other })).toBe('CommitMismatch')
  })

  it('accepts a first commit with records only when it hides nothing', async () => {
    const { repo: fresh, commit: empty } = await Repo.create(createMemoryRepoStore(), {
      did,
      signer: key,
    })
    const { commit: second } = await fresh.applyWrites([create('a'), create('b')])
    // Told as the first commit of a repo: the tree before was empty, as it must have been.
    expect(codeOf({ ...inputOf(second!), since: null, prevData: undefined })).toBe('accepted')
    const hiding = second!.ops.slice(1)
    expect(codeOf({ ...inputOf(second!), ops: hiding, since: null, prevData: undefined })).toBe(
      'CommitMismatch',
    )
    const { commit: third } = await fresh.applyWrites([
      { action: 'delete', collection, rkey: 'a' },
      { action: 'delete', collection, rkey: 'b' },
    ])
    expect(third!.data.toString()).toBe(empty.data.toString())
    expect(codeOf(inputOf(third!))).toBe('accepted')
  })

  it('refuses records that are not canonical, unless told to be tolerant', () => {
    const float = new Uint8Array(Buffer.from('a1616efb3ff8000000000000', 'hex'))
    const cid = cidForCbor(float)
    const tree = Mst.empty().put(`${collection}/float`, cid)
    const unsigned = { did, rev: '3kaaaaaaaaa22', data: tree.root, prev: null, version: 3 }
    const sig = key.sign(encodeCbor(unsigned)) as Uint8Array
    const bytes = encodeCbor({ ...unsigned, sig })
    const blocks = encodeCar(
      [cidForCbor(bytes)],
      [{ cid: cidForCbor(bytes), bytes }, ...tree.nodes(), { cid, bytes: float }],
    )
    const made: VerifyCommitInput = {
      did,
      rev: unsigned.rev,
      commit: cidForCbor(bytes),
      blocks,
      ops: [{ action: 'create', path: `${collection}/float`, cid }],
      since: null,
      key,
    }
    expect(codeOf(made)).toBe('InvalidRecord')
    expect(codeOf({ ...made, mode: 'tolerant' })).toBe('accepted')
  })
})

describe('inversion', () => {
  it('gives the tree before from the slice alone, for thousands of random batches on trees of all sizes', async () => {
    const random = createRandom(23)
    let checked = 0
    let incomplete = 0
    for (const size of [0, 1, 2, 5, 20, 100, 400, 1500]) {
      const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
      const present = new Set<string>()
      for (let at = 0; at < size; at += 200) {
        const rkeys = Array.from({ length: Math.min(200, size - at) }, (_, i) => `k${at + i}`)
        await repo.applyWrites(rkeys.map(create))
        for (const rkey of rkeys) present.add(rkey)
      }
      for (let round = 0; round < 160; round++) {
        const writes = new Map<string, RepoWrite>()
        for (let i = random.integer(1, random.pick([1, 1, 2, 4, 10, 30])); i > 0; i--) {
          const rkey = `k${random.integer(0, Math.max(3, size * 2))}`
          if (writes.has(rkey)) continue
          if (present.has(rkey) && random.chance(0.6)) {
            writes.set(rkey, { action: 'delete', collection, rkey })
            present.delete(rkey)
          } else {
            writes.set(rkey, {
              action: 'put',
              collection,
              rkey,
              record: { $type: collection, n: random.integer(0, 99) },
            })
            present.add(rkey)
          }
        }
        const { commit } = await repo.applyWrites([...writes.values()])
        if (commit === undefined) continue
        expect(codeOf(inputOf(commit))).toBe('accepted')
        checked += commit.ops.length
        // One op less must never pass, nor one lie about the past.
        const at = random.integer(0, commit.ops.length - 1)
        const fewer = commit.ops.filter((_, index) => index !== at)
        const outcome = codeOf({ ...inputOf(commit), ops: fewer })
        expect(['CommitMismatch', 'ProofIncomplete']).toContain(outcome)
        const slice: BlockMap = decodeCar(commit.blocks).blocks
        const dropped = random.pick([...slice]).cid.toString()
        const partial = codeOf({
          ...inputOf(commit),
          blocks: withBlocks(commit, (cid) => cid !== dropped),
        })
        expect(['accepted', 'ProofIncomplete']).toContain(partial)
        if (partial === 'ProofIncomplete') incomplete++
      }
    }
    expect(checked).toBeGreaterThan(3000)
    expect(incomplete).toBeGreaterThan(500)
  })
})
