import { type CidKey } from '../cid.ts'
import { InvalidOpsError, MissingBlockError, ProofIncompleteError } from '../errors.ts'
import { getEntry, putEntry, removeEntry } from './edit.ts'
import { type MstNode, type NodeLoader } from './node.ts'

/** An operation by keys, as the inversion works on it. */
export interface KeyedOp {
  readonly action: 'create' | 'update' | 'delete'
  readonly path: string
  /** The record's CID after the operation; null for a delete. */
  readonly cid: CidKey | null
  /** The record's CID before the operation; null for a create. */
  readonly prev: CidKey | null
}

/**
 * Undoes operations on a tree, possibly a partial one, and gives the tree before them. A CID is given where nothing was left
 * above a block that is not at hand: that block may be the root, or a keyless node above the root.
 *
 * Any order proves the same, but the order can decide which nodes are needed. First comes the usual one, what was deleted
 * before the rest and each by path; where blocks are missing for it, from the last path to the first, which is enough for
 * every slice whose producer thought of undoing what it did step by step.
 *
 * @throws {InvalidOpsError} when an operation is not what the tree shows.
 * @throws {ProofIncompleteError} when the blocks at hand do not reach far enough.
 */
export function invertOps(
  loader: NodeLoader,
  root: MstNode,
  ops: readonly KeyedOp[],
): MstNode | CidKey {
  try {
    return undo(loader, root, ops.toSorted(deletesFirst))
  } catch (error) {
    if (!(error instanceof MissingBlockError)) throw error
    if (ops.length > 1) {
      try {
        return undo(loader, root, ops.toSorted(backwards))
      } catch (other) {
        if (!(other instanceof MissingBlockError)) throw other
      }
    }
    throw new ProofIncompleteError(error.cid, { cause: error })
  }
}

function undo(loader: NodeLoader, root: MstNode, ops: readonly KeyedOp[]): MstNode | CidKey {
  let tree: MstNode | CidKey = root
  for (const op of ops) tree = invertOp(loader, opened(loader, tree), op)
  return tree
}

function deletesFirst(a: KeyedOp, b: KeyedOp): number {
  return Number(b.action === 'delete') - Number(a.action === 'delete') || (a.path < b.path ? -1 : 1)
}

function backwards(a: KeyedOp, b: KeyedOp): number {
  return a.path < b.path ? 1 : -1
}

function opened(loader: NodeLoader, tree: MstNode | CidKey): MstNode {
  return typeof tree === 'string' ? loader.loadRoot(tree) : tree
}

function invertOp(loader: NodeLoader, tree: MstNode, op: KeyedOp): MstNode | CidKey {
  if (op.action === 'create') {
    const { root, value } = removeEntry(loader, tree, op.path)
    checkValue(op, value)
    return root
  }
  const value = getEntry(loader, tree, op.path)
  checkValue(op, value)
  if (op.prev === null) throw new InvalidOpsError('prev is missing', op.path)
  return putEntry(loader, tree, op.path, op.prev)
}

function checkValue(op: KeyedOp, value: CidKey | undefined): void {
  if ((value ?? null) === op.cid) return
  throw new InvalidOpsError('the tree holds something else', op.path)
}
