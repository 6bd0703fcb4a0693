import { formatCar } from './car/encode.ts'
import { type Cid, cidFromKey, cidKey, type CidKey, cidKeyForCbor } from './cid.ts'
import { type Commit, signCommit } from './commit.ts'
import { LimitExceededError } from './errors.ts'
import { MAX_COMMIT_BLOCKS_BYTES } from './limits.ts'
import { diffNodes } from './mst/diff-nodes.ts'
import type { KeyedOp } from './mst/invert.ts'
import { NodeEncoder } from './mst/node-codec.ts'
import { type MstNode, type NodeLoader, treeCid } from './mst/node.ts'
import { visitCoveringProof } from './mst/proof.ts'
import type { RepoOp } from './ops.ts'
import type { PreparedWrite } from './prepare-writes.ts'
import { parsePath } from './path.ts'
import type { EventEncoder, RecordKey, RecordPut, RepoChange, RepoHead } from './repo-store.ts'
import type { Signer } from './signer.ts'

/** The blocks of an edited tree, computed but not yet signed for. */
export interface TreeBlocks {
  readonly data: CidKey
  readonly added: readonly MstNode[]
  readonly removed: readonly CidKey[]
  /** Nodes for the CAR slice: the new ones and those that undoing the operations needs. */
  readonly slice: ReadonlyMap<CidKey, Uint8Array>
}

/**
 * Computes the CIDs of an edited tree, its difference to the stored one and the covering proof of the operations.
 *
 * @throws {MissingBlockError} when a node of the proof is not at hand: fetch it and call again.
 * @throws {LimitExceededError} when a node has too many entries or bytes of keys.
 */
export function buildTreeBlocks(
  loader: NodeLoader,
  before: MstNode | undefined,
  after: MstNode,
  ops: readonly KeyedOp[],
): TreeBlocks {
  const data = treeCid(after, new NodeEncoder(), true)
  const slice = new Map<CidKey, Uint8Array>()
  function include(node: MstNode): void {
    if (node.cid !== null && node.bytes !== null) slice.set(node.cid, node.bytes)
  }
  for (const { path } of ops) visitCoveringProof(loader, after, path, include)
  const { added, removed } =
    before === undefined ? { added: [after], removed: [] } : diffNodes(before, after)
  for (const node of added) include(node)
  return { data, added, removed, slice }
}

/** What {@link buildCommit} signs. */
export interface CommitParts {
  readonly did: string
  readonly rev: string
  /** The state before; undefined for the first commit. */
  readonly previous: RepoHead | undefined
  readonly tree: TreeBlocks
  readonly ops: readonly KeyedOp[]
  /** The writes behind the operations. */
  readonly writes: readonly PreparedWrite[]
}

/** A signed commit and the change that stores it. */
export interface BuiltCommit {
  readonly commit: Commit
  /** Gives the change for the store, with the events to append. */
  change(events: readonly EventEncoder[]): RepoChange
}

/**
 * Signs a commit and gathers everything its event and its store need.
 *
 * @throws {LimitExceededError} when the CAR slice passes {@link MAX_COMMIT_BLOCKS_BYTES}.
 */
export async function buildCommit(parts: CommitParts, signer: Signer): Promise<BuiltCommit> {
  const { did, rev, previous, tree, ops } = parts
  const bytes = await signCommit({ did, rev, data: tree.data }, signer)
  const key = cidKeyForCbor(bytes)
  const cid = cidFromKey(key)
  const data = cidFromKey(tree.data)
  const records = recordPuts(parts)
  const slice = new Map<CidKey, Uint8Array>([[key, bytes], ...tree.slice])
  for (const record of records) slice.set(cidKey(record.cid), record.bytes)
  const blocks = formatCar([key], [...slice])
  if (blocks.length > MAX_COMMIT_BLOCKS_BYTES) {
    throw new LimitExceededError('commitBlocksBytes', MAX_COMMIT_BLOCKS_BYTES, blocks.length)
  }
  const commit: Commit = {
    did,
    rev,
    since: previous?.rev ?? null,
    cid,
    data,
    ...(previous === undefined ? {} : { prevData: previous.data }),
    ops: ops.map(publicOp),
    blocks,
    bytes,
    blobs: blobsOf(records),
  }
  return {
    commit,
    change: (events) => ({
      did,
      previous: previous?.commit ?? null,
      head: { did, rev, commit: cid, data, bytes },
      putNodes: tree.added.flatMap((node) =>
        node.cid === null || node.bytes === null
          ? []
          : { cid: cidFromKey(node.cid), bytes: node.bytes },
      ),
      deleteNodes: tree.removed.map((removed) => cidFromKey(removed)),
      putRecords: records,
      deleteRecords: recordDeletes(ops),
      events,
    }),
  }
}

function recordPuts({ ops, writes }: CommitParts): readonly RecordPut[] {
  const byPath = new Map(writes.map((write) => [write.path, write]))
  return ops.flatMap(({ path }) => {
    const write = byPath.get(path)
    if (write?.record === undefined) return []
    const { collection, rkey, record } = write
    return {
      collection,
      rkey,
      cid: cidFromKey(record.cid),
      bytes: record.bytes,
      blobs: record.blobs,
    }
  })
}

function recordDeletes(ops: readonly KeyedOp[]): readonly RecordKey[] {
  return ops.filter(({ action }) => action === 'delete').map(({ path }) => parsePath(path))
}

function publicOp({ action, path, cid, prev }: KeyedOp): RepoOp {
  return {
    action,
    path,
    cid: cid === null ? null : cidFromKey(cid),
    ...(prev === null ? {} : { prev: cidFromKey(prev) }),
  }
}

function blobsOf(records: readonly RecordPut[]): readonly Cid[] {
  const blobs = new Map<CidKey, Cid>()
  for (const record of records) for (const blob of record.blobs) blobs.set(cidKey(blob), blob)
  return [...blobs.values()]
}
