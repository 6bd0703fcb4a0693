import { decodeCbor, encodeCbor } from '@skywright/repo/cbor'

import type { IndexCommitEvent, IndexOp, IndexSyncEvent } from '../event.ts'

/** Largest parked event, in bytes: a commit carries at most 2 MB of blocks. */
const MAX_PARKED_BYTES = 4 * 1024 * 1024

/** An event that has to wait until its repo was fetched, as bytes. */
export function encodeParked(event: IndexCommitEvent | IndexSyncEvent): Uint8Array {
  const { type, seq, did, rev } = event
  const data = event.data === undefined ? {} : { data: event.data }
  if (type === 'sync') return encodeCbor({ type, seq, did, rev, ...data })
  const ops = event.ops.map(({ action, collection, rkey, cid, record }) => ({
    action,
    collection,
    rkey,
    ...(cid === undefined ? {} : { cid }),
    ...(record === undefined ? {} : { record }),
  }))
  const since = event.since === undefined ? {} : { since: event.since }
  const gap = event.gap === true ? { gap: true } : {}
  const partial = event.partial === true ? { partial: true } : {}
  return encodeCbor({ type, seq, did, rev, ops, ...data, ...since, ...gap, ...partial })
}

/** The event again. Only bytes of {@link encodeParked} come here. */
export function decodeParked(bytes: Uint8Array): IndexCommitEvent | IndexSyncEvent {
  return decodeCbor(bytes, { maxBytes: MAX_PARKED_BYTES }) as
    (IndexCommitEvent & { ops: IndexOp[] }) | IndexSyncEvent
}
