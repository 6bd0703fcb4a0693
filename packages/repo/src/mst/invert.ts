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
 * Undoes operations on a tree, possibly a partial one, and gives the tree before them.
 *
 * @throws {InvalidOpsError} when an operation is not what the tree shows.
 * @throws {ProofIncompleteError} when the blocks at hand do not reach far enough.
 */
export function invertOps(
  loader: NodeLoader,
  root: MstNode,
  ops: readonly KeyedOp[],
): MstNode | CidKey {
  let tree: MstNode | CidKey = root
  try {
    for (const op of inversionOrder(ops)) tree = invertOp(loader, opened(loader, tree), op)
  } catch (error) {
    if (error instanceof MissingBlockError)
      throw new ProofIncompleteError(error.cid, { cause: error })
    throw error
  }
  return tree
}

/** A fixed order, whatever the wire's: what was deleted comes back first, then by path. In partial trees the order can decide which nodes are needed. */
function inversionOrder(ops: readonly KeyedOp[]): readonly KeyedOp[] {
  if (ops.length < 2) return ops
  return ops.toSorted((a, b) => {
    const deletesFirst = Number(b.action === 'delete') - Number(a.action === 'delete')
    if (deletesFirst !== 0) return deletesFirst
    if (a.path === b.path) return 0
    return a.path < b.path ? -1 : 1
  })
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
