import assert from 'node:assert/strict'

import { MemoryBlockstore, MST } from '@atproto/repo'
import { CID } from 'multiformats/cid'

import {
  buildMst,
  cidForCbor,
  type Commit,
  createMemoryRepoStore,
  decodeCar,
  encodeCar,
  encodeCbor,
  keyDepth,
  ProofIncompleteError,
  Repo,
  RepoError,
  type RepoWrite,
  verifyCommit,
} from '../../src/index.ts'
import { createTestKey } from '../../src/testing/index.ts'

const did = 'did:web:alice.example.com'
const collection = 'com.example.note'
const key = createTestKey()

/** The trees over all subsets of a few keys; tree `n` holds key `i` when bit `i` of `n` is set. */
export interface Universe {
  /** Depths of the keys, in key order. */
  readonly depths: readonly number[]
  /** Whether the records of a tree depend on its first key, so that every second change updates all that stays. */
  readonly updates: boolean
}

/** What was exercised. */
export interface PairCounts {
  pairs: number
  ops: number
  /** Blocks whose absence was told, one at a time. */
  needed: number
  /** Blocks that were sent and not needed. */
  spared: number
  /** Commits whose proof needs nodes that are not new. */
  beyondNew: number
}

type SubsetRecord = { readonly $type: string; readonly rkey: string; readonly variant: number }

interface SubsetTree {
  readonly records: ReadonlyMap<string, SubsetRecord>
  readonly root: string
  readonly nodes: ReadonlySet<string>
  /** The nodes of @atproto/repo's covering proof of each key. */
  readonly covering: ReadonlyMap<string, readonly string[]>
}

/**
 * Takes one repository through every change from one tree of a universe to another, and proves each commit: it leads from
 * the root of the one to the root of the other, its slice is what @atproto/repo would send, and every block of it is either
 * not needed or missed.
 *
 * @param stride how many changes there are for each one whose blocks are left out.
 */
export async function provePairs(universe: Universe, stride = 1): Promise<PairCounts> {
  const rkeys = mineKeys(universe.depths)
  const trees: SubsetTree[] = []
  for (let n = 0; n < 2 ** rkeys.length; n++) trees.push(await subsetTree(universe, rkeys, n))
  const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
  const counts: PairCounts = { pairs: 0, ops: 0, needed: 0, spared: 0, beyondNew: 0 }
  let from = trees[0]!
  for (const n of tour(trees.length)) {
    const to = trees[n]!
    const writes = changesOf(from, to)
    const commit =
      writes.length === 0 ? await repo.resign() : (await repo.applyWrites(writes)).commit!
    assert.equal(commit.ops.length, writes.length)
    assert.equal(commit.prevData?.toString(), from.root)
    assert.equal(commit.data.toString(), to.root)
    assert.equal(judge(commit, commit.blocks), 'proven')
    if (writes.length > 0) checkSlice(commit, from, to, counts)
    if (counts.pairs % stride === 0) leaveOut(commit, counts)
    counts.pairs++
    counts.ops += commit.ops.length
    from = to
  }
  return counts
}

/** The slice has the nodes that are new and those of the reference's covering proofs, and no others. */
function checkSlice(commit: Commit, from: SubsetTree, to: SubsetTree, counts: PairCounts): void {
  const expected = new Set([...to.nodes].filter((cid) => !from.nodes.has(cid)))
  const made = expected.size
  for (const { path } of commit.ops) for (const cid of to.covering.get(path)!) expected.add(cid)
  const others = new Set([commit.cid, ...commit.ops.map(({ cid }) => cid)].map(String))
  const slice = [...decodeCar(commit.blocks).blocks].map(({ cid }) => cid.toString())
  const nodes = slice.filter((cid) => !others.has(cid))
  assert.equal(nodes.toSorted().join(), [...expected].toSorted().join())
  if (expected.size > made) counts.beyondNew++
}

/** Takes away what a proof can do without, one block after the other; of what is left every block is missed. */
function leaveOut({ blocks: car, ...commit }: Commit, counts: PairCounts): void {
  const { roots, blocks } = decodeCar(car)
  const all = [...blocks]
  let needed = all
  for (const left of all) {
    const rest = needed.filter((block) => block !== left)
    const outcome = judge(commit, encodeCar(roots, rest))
    if (outcome === 'proven') needed = rest
  }
  counts.spared += all.length - needed.length
  for (const left of needed) {
    const rest = needed.filter((block) => block !== left)
    const outcome = judge(commit, encodeCar(roots, rest))
    assert.match(outcome, /^ProofIncomplete /)
    // Where two orders of undoing fail for want of different blocks, it tells of the first one's.
    assert.ok(!rest.some(({ cid }) => outcome.endsWith(cid.toString())))
  }
  counts.needed += needed.length
}

function judge(
  { cid, ops, rev, since, prevData }: Omit<Commit, 'blocks'>,
  blocks: Uint8Array,
): string {
  try {
    verifyCommit({ did, rev, commit: cid, ops, blocks, since, prevData, key })
    return 'proven'
  } catch (error) {
    if (error instanceof ProofIncompleteError) return `${error.code} ${error.cid}`
    if (error instanceof RepoError) return error.code
    throw error
  }
}

/** Goes from 0 through numbers below `count` and back, so that each ordered pair, one of equals too, comes once in a row. */
function* tour(count: number): Generator<number, void, void> {
  for (let a = 0; a < count; a++) {
    if (a > 0) yield a
    for (let b = a + 1; b < count; b++) {
      yield a
      yield b
    }
  }
  yield 0
}

/** Gives record keys in order whose paths have these depths. */
function mineKeys(depths: readonly number[]): readonly string[] {
  return depths.map((depth, at) => {
    for (let n = 0; ; n++) {
      const rkey = `${at}-${n.toString(36)}`
      if (keyDepth(`${collection}/${rkey}`) === depth) return rkey
    }
  })
}

async function subsetTree(
  { updates }: Universe,
  rkeys: readonly string[],
  n: number,
): Promise<SubsetTree> {
  const records = new Map<string, SubsetRecord>()
  for (const [i, rkey] of rkeys.entries()) {
    if ((n >> i) & 1) records.set(rkey, { $type: collection, rkey, variant: updates ? n & 1 : 0 })
  }
  const entries = [...records].map(
    ([rkey, record]) => [`${collection}/${rkey}`, cidForCbor(encodeCbor(record))] as const,
  )
  let reference = await MST.create(new MemoryBlockstore())
  for (const [path, cid] of entries)
    reference = await reference.add(path, CID.parse(cid.toString()) as never)
  const covering = new Map<string, readonly string[]>()
  for (const rkey of rkeys) {
    const path = `${collection}/${rkey}`
    const proof = await reference.getCoveringProof(path)
    covering.set(path, proof.cids().map(String))
  }
  const tree = buildMst(entries)
  const root = tree.root.toString()
  assert.equal((await reference.getPointer()).toString(), root)
  return {
    records,
    root,
    nodes: new Set([...tree.nodes].map(({ cid }) => cid.toString())),
    covering,
  }
}

function changesOf(from: SubsetTree, to: SubsetTree): readonly RepoWrite[] {
  const writes: RepoWrite[] = []
  for (const rkey of from.records.keys()) {
    if (!to.records.has(rkey)) writes.push({ action: 'delete', collection, rkey })
  }
  for (const [rkey, record] of to.records) {
    if (from.records.get(rkey)?.variant !== record.variant)
      writes.push({ action: 'put', collection, rkey, record })
  }
  return writes
}
