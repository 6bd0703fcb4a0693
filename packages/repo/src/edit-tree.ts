import { cidFromKey, type CidKey, formatCidKey } from './cid.ts'
import { InvalidSwapError, RecordExistsError, RecordNotFoundError } from './errors.ts'
import { getEntry, putEntry, removeEntry } from './mst/edit.ts'
import type { KeyedOp } from './mst/invert.ts'
import { type MstNode, type NodeLoader } from './mst/node.ts'
import type { PreparedWrite } from './prepare-writes.ts'
import type { AppliedWrite } from './writes.ts'

/** What a batch makes of a tree. */
export interface TreeEdit {
  readonly root: MstNode
  /** What changed, sorted by path; empty when every record already had its content. */
  readonly ops: readonly KeyedOp[]
  /** One entry for each write, in the order given. */
  readonly applied: readonly AppliedWrite[]
}

/**
 * Applies a batch to a tree. The given tree stays as it is.
 *
 * @throws {RecordExistsError} when a create names a record that exists.
 * @throws {RecordNotFoundError} when an update or delete names one that does not.
 * @throws {InvalidSwapError} when `swapRecord` is not what the tree holds.
 * @throws {MissingBlockError} when a node is not at hand: fetch it and call again.
 */
export function editTree(
  loader: NodeLoader,
  root: MstNode,
  writes: readonly PreparedWrite[],
): TreeEdit {
  let tree = root
  const ops: KeyedOp[] = []
  const applied = writes.map((write): AppliedWrite => {
    const { collection, rkey, path, record } = write
    const prev = getEntry(loader, tree, path) ?? null
    checkState(write, prev)
    const action = actionOf(write, prev)
    const cid = record === undefined ? null : cidFromKey(record.cid)
    if (action !== 'none') {
      ops.push({ action, path, cid: record?.cid ?? null, prev })
      tree =
        record === undefined
          ? removed(loader, tree, path)
          : putEntry(loader, tree, path, record.cid)
    }
    return { action, collection, rkey, path, cid }
  })
  ops.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { root: tree, ops, applied }
}

function checkState({ action, path, swap }: PreparedWrite, prev: CidKey | null): void {
  if (swap !== undefined && swap !== prev)
    throw new InvalidSwapError(path, textOf(swap), textOf(prev))
  if (action === 'create' && prev !== null) throw new RecordExistsError(path)
  if ((action === 'update' || action === 'delete') && prev === null)
    throw new RecordNotFoundError(path)
}

function textOf(key: CidKey | null): string | null {
  return key === null ? null : formatCidKey(key)
}

function actionOf({ record }: PreparedWrite, prev: CidKey | null): AppliedWrite['action'] {
  if (record === undefined) return 'delete'
  if (prev === null) return 'create'
  return prev === record.cid ? 'none' : 'update'
}

function removed(loader: NodeLoader, tree: MstNode, path: string): MstNode {
  const { root } = removeEntry(loader, tree, path)
  // The whole tree is in reach: a top that is only a CID is one to fetch.
  return typeof root === 'string' ? loader.loadRoot(root) : root
}
