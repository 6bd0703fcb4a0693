import { isTid } from '@skywright/repo'
import type { CommitEvent, SyncEvent } from '../event.ts'
import {
  MAX_COMMIT_BLOCKS_BYTES,
  MAX_COMMIT_OPS,
  MAX_DID_LENGTH,
  MAX_SYNC_BLOCKS_BYTES,
} from '../limits.ts'
import type { RejectReason } from './outcome.ts'

const DID = /^did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]$/

/** Whether `did` has the syntax of a DID. */
export function isDid(did: string): boolean {
  return did.length <= MAX_DID_LENGTH && DID.test(did)
}

/** Everything about an event that can be refused without knowing the account: sizes, syntax, op shapes. */
export function checkEvent(
  event: CommitEvent | SyncEvent,
  isFutureRev: (rev: string) => boolean,
): RejectReason | undefined {
  const maxBytes = event.type === 'commit' ? MAX_COMMIT_BLOCKS_BYTES : MAX_SYNC_BLOCKS_BYTES
  if (event.blocks.length > maxBytes) return 'too-large'
  if (event.blocks.length === 0) return 'invalid-car'
  if (!isDid(event.did)) return 'invalid-did'
  if (!isTid(event.rev)) return 'invalid-rev'
  if (isFutureRev(event.rev)) return 'future-rev'
  return event.type === 'commit' ? checkOps(event) : undefined
}

function checkOps(event: CommitEvent): RejectReason | undefined {
  if (event.ops.length > MAX_COMMIT_OPS) return 'too-many-ops'
  if (event.since !== null && !isTid(event.since)) return 'invalid-rev'
  if (event.since !== null && event.since >= event.rev) return 'invalid-rev'
  if (event.prevData === undefined && event.since !== null) return 'missing-prev-data'
  if (event.ops.length < 2) {
    const [op] = event.ops
    return op === undefined || isOp(op) ? undefined : 'invalid-op'
  }
  const paths = new Set<string>()
  for (const op of event.ops) {
    if (!isOp(op)) return 'invalid-op'
    if (paths.has(op.path)) return 'duplicate-path'
    paths.add(op.path)
  }
  return undefined
}

/** create: a new record and none before; update: both; delete: only the one before. */
function isOp(op: CommitEvent['ops'][number]): boolean {
  switch (op.action) {
    case 'create':
      return op.cid !== null && op.prev === undefined
    case 'update':
      return op.cid !== null && op.prev !== undefined
    case 'delete':
      return op.cid === null && op.prev !== undefined
  }
}
