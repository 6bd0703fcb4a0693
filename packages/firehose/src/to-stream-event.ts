import { scanCar } from './car-scan.ts'
import type { CommitEvent, RepoEvent, SyncEvent } from './event.ts'
import { createCollectionMatcher, type EventFilter } from './filter.ts'
import type { StreamCommit, StreamEvent, StreamOp, StreamSync } from './stream-event.ts'
import type { VerifiedCommit } from './verify/outcome.ts'

/** A verified `#commit` or `#sync` as consumers see it. */
export function verifiedCommit(
  event: CommitEvent | SyncEvent,
  { data, commit, records }: VerifiedCommit,
  source: string,
  discontinuity: string | undefined,
  filter: EventFilter | undefined,
): StreamCommit | StreamSync {
  const { seq, did, time, rev } = event
  const base = { seq, did, time, source, verified: true, live: true, rev }
  if (event.type === 'sync') return { ...base, type: 'sync', data }
  return {
    ...base,
    type: 'commit',
    since: event.since,
    commit,
    data,
    ops: streamOps(event, records, filter),
    ...(discontinuity === undefined ? {} : { discontinuity }),
  }
}

/**
 * An event taken on the word of its source: records are found in the slice, nothing is hashed or proven.
 *
 * @throws an error with `code` `InvalidCar` when a commit's slice cannot be read.
 */
export function trustedEvent(event: RepoEvent, source: string, filter?: EventFilter): StreamEvent {
  const { seq, did, time } = event
  const base = { seq, did, time, source, verified: false, live: true }
  switch (event.type) {
    case 'commit':
      return {
        ...base,
        type: 'commit',
        rev: event.rev,
        since: event.since,
        commit: event.commit,
        ops: streamOps(event, trustedRecords(event), filter),
      }
    case 'sync':
      return { ...base, type: 'sync', rev: event.rev }
    case 'identity':
      return {
        ...base,
        type: 'identity',
        ...(event.handle === undefined ? {} : { handle: event.handle }),
      }
    case 'account':
      return {
        ...base,
        type: 'account',
        active: event.active,
        ...(event.status === undefined ? {} : { status: event.status }),
      }
  }
}

function trustedRecords(event: CommitEvent): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>()
  if (event.ops.every((op) => op.cid === null)) return records
  const car = scanCar(event.blocks)
  for (const { path, cid } of event.ops) {
    const record = cid === null ? undefined : car.get(cid)
    if (record !== undefined) records.set(path, record)
  }
  return records
}

function streamOps(
  event: CommitEvent,
  records: ReadonlyMap<string, Uint8Array>,
  filter: EventFilter | undefined,
): StreamOp[] {
  const wanted =
    filter?.collections === undefined ? undefined : createCollectionMatcher(filter.collections)
  const ops: StreamOp[] = []
  for (const { action, path, cid, prev } of event.ops) {
    const slash = path.indexOf('/')
    const collection = path.slice(0, slash)
    if (wanted !== undefined && !wanted(collection)) continue
    const record = records.get(path)
    ops.push({
      action,
      collection,
      rkey: path.slice(slash + 1),
      path,
      cid,
      ...(prev === undefined ? {} : { prev }),
      ...(record === undefined ? {} : { record }),
    })
  }
  return ops
}
