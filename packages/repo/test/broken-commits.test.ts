import { expect, it } from 'vitest'

import {
  cidForCbor,
  decodeCbor,
  encodeCar,
  encodeCbor,
  isPath,
  RepoError,
  type RepoOp,
  verifyCommit,
} from '../src/index.ts'
import { asCid, type Cid, cidFromKey, cidKey, type CidKey } from '../src/cid.ts'
import { TREE_DEFECTS } from '../src/testing/broken-trees.ts'
import { createTestKey } from '../src/testing/index.ts'
import { RawTree } from '../src/testing/raw-tree.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const rev = '3kaaaaaaaaa22'

interface WireNode {
  readonly l: unknown
  readonly e: readonly {
    readonly k: Uint8Array
    readonly p: number
    readonly t: unknown
    readonly v: unknown
  }[]
}

/** What a reader who checks nothing finds in a tree. */
function entriesOf(blocks: ReadonlyMap<CidKey, Uint8Array>, root: CidKey): Map<string, Cid> {
  const entries = new Map<string, Cid>()
  const visit = (tree: unknown, depth: number): void => {
    const cid = asCid(tree)
    const bytes = cid === undefined || cid === null ? undefined : blocks.get(cidKey(cid))
    if (bytes === undefined || depth > 20) return
    const { l, e } = decodeCbor(bytes) as WireNode
    visit(l, depth + 1)
    let previous = ''
    for (const { k, p, t, v } of e) {
      previous = previous.slice(0, p) + new TextDecoder('latin1').decode(k)
      const value = asCid(v)
      if (value !== undefined && value !== null) entries.set(previous, value)
      visit(t, depth + 1)
    }
  }
  try {
    visit(cidFromKey(root), 0)
  } catch {
    // Not even that can be read.
  }
  return entries
}

/** The first commit of a repo with this tree, which tells of every record in it and of nothing else. */
function outcomeOf(tree: RawTree, data: CidKey): string {
  const ops: RepoOp[] = [...entriesOf(tree.blocks, data)]
    .filter(([path]) => isPath(path))
    .map(([path, cid]) => ({ action: 'create', path, cid }))
  const unsigned = { did, rev, data: cidFromKey(data), prev: null, version: 3 }
  const bytes = encodeCbor({ ...unsigned, sig: key.sign(encodeCbor(unsigned)) as Uint8Array })
  const commit = cidForCbor(bytes)
  const blocks = encodeCar(
    [commit],
    [
      { cid: commit, bytes },
      ...[...tree.blocks].map(([cid, block]) => ({ cid: cidFromKey(cid), bytes: block })),
    ],
  )
  try {
    verifyCommit({ did, rev, commit, blocks, ops, since: null, key })
    return 'accepted'
  } catch (error) {
    if (error instanceof RepoError) return error.code
    throw error
  }
}

it.each(TREE_DEFECTS)('a commit with a tree of its own: $defect', ({ name, build, expected }) => {
  const tree = new RawTree()
  const outcome = outcomeOf(tree, build(tree))
  if (expected === undefined) expect([name, outcome]).toEqual([name, 'accepted'])
  else expect([name, outcome]).not.toEqual([name, 'accepted'])
})

it('is mostly refused for the rule of the tree that it breaks', () => {
  const broken = TREE_DEFECTS.filter(({ expected }) => expected === 'InvalidMst')
  const outcomes = broken.map(({ build }) => {
    const tree = new RawTree()
    return outcomeOf(tree, build(tree))
  })
  expect(broken.length).toBeGreaterThanOrEqual(27)
  expect(outcomes.filter((outcome) => outcome === 'InvalidMst').length).toBeGreaterThanOrEqual(15)
})
