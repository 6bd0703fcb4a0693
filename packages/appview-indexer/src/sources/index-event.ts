import type { StreamEvent } from '@skywright/firehose'
import { formatTid } from '@skywright/repo'

import type { IndexEvent, IndexSyncEvent } from '../event.ts'

/**
 * What the indexer needs of an event of `@skywright/firehose`. The handle of an `#identity` is a hint and is left out:
 * the indexer has it looked up. A commit on an unexpected tree is applied and its repo fetched.
 */
export function indexEvent(event: StreamEvent): IndexEvent {
  const { seq, did } = event
  switch (event.type) {
    case 'commit':
      return {
        type: 'commit',
        seq,
        did,
        rev: event.rev,
        ...(event.since === undefined ? {} : { since: event.since }),
        ...(event.data === undefined ? {} : { data: event.data.bytes }),
        ...(event.discontinuity === undefined || event.discontinuity === 'unknown-repo'
          ? {}
          : { gap: true }),
        ops: event.ops.map(({ action, collection, rkey, cid, record }) => ({
          action,
          collection,
          rkey,
          ...(cid === null ? {} : { cid: cid.bytes }),
          ...(record === undefined ? {} : { record }),
        })),
      }
    case 'sync':
      return {
        type: 'sync',
        seq,
        did,
        rev: event.rev,
        ...(event.data === undefined ? {} : { data: event.data.bytes }),
      }
    case 'identity':
      return { type: 'identity', seq, did }
    case 'account':
      return {
        type: 'account',
        seq,
        did,
        active: event.active,
        ...(event.status === undefined ? {} : { status: event.status }),
      }
  }
}

/** Stands for an event that could not be judged: the repo itself has what it said, and is fetched. */
export function repairEvent(
  did: string,
  seq: number,
  now: number,
  cursor: number | undefined,
): IndexSyncEvent & { readonly cursor: number | undefined } {
  // Later than every rev that may be indexed: only the repo tells where it is.
  const rev = formatTid({ timestampMicros: BigInt(now) * 1_000n, clockId: 1_023 })
  return { type: 'sync', seq, did, rev, cursor }
}
