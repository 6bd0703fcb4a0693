import type { CidKey } from '../cid.ts'
import { type MstNode } from './node.ts'

/** Which blocks an edit adds to a tree and which it leaves behind. */
export interface NodeChanges {
  readonly added: readonly MstNode[]
  readonly removed: readonly CidKey[]
}

/**
 * Gives the difference in nodes between a stored tree and the tree an edit made of it. Only what the edit touched is visited.
 * CIDs of new nodes must be computed.
 */
export function diffNodes(before: MstNode, after: MstNode): NodeChanges {
  const added = new Map<CidKey, MstNode>()
  const kept = new Set<CidKey>()
  collectAdded(after, added, kept)
  const removed = new Set<CidKey>()
  collectRemoved(before, kept, removed)
  for (const cid of removed) {
    const node = added.get(cid)
    if (node === undefined) continue
    // Made anew with the same content: it is there already and stays.
    node.stored = true
    added.delete(cid)
    removed.delete(cid)
  }
  return { added: [...added.values()], removed: [...removed] }
}

function collectAdded(node: MstNode, added: Map<CidKey, MstNode>, kept: Set<CidKey>): void {
  if (node.cid === null) throw new TypeError('the cid of a new node must be computed')
  if (node.stored) {
    kept.add(node.cid)
    return
  }
  added.set(node.cid, node)
  for (const tree of node.trees) {
    if (typeof tree === 'string') kept.add(tree)
    else if (tree !== null) collectAdded(tree, added, kept)
  }
}

function collectRemoved(node: MstNode, kept: ReadonlySet<CidKey>, removed: Set<CidKey>): void {
  if (node.cid === null || kept.has(node.cid)) return
  removed.add(node.cid)
  for (const tree of node.trees) {
    // A subtree that was never loaded cannot have been taken apart: it is still referenced.
    if (tree !== null && typeof tree !== 'string') collectRemoved(tree, kept, removed)
  }
}
