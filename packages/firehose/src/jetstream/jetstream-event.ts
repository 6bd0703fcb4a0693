import { decodeCbor, lexToJson } from '@skywright/repo'
import { decodeEvent } from '../codec.ts'
import type { LogEntry } from '../event-log/port.ts'
import type { StreamEvent } from '../stream-event.ts'
import { trustedEvent } from '../to-stream-event.ts'

/** An event as Jetstream v1 writes it. */
export interface JetstreamEvent {
  readonly did: string
  /** When it was received, in microseconds since 1970; also the cursor. */
  readonly time_us: number
  readonly kind: 'commit' | 'identity' | 'account'
  readonly commit?: JetstreamCommit
  readonly identity?: Readonly<Record<string, unknown>>
  readonly account?: Readonly<Record<string, unknown>>
}

/** One operation. */
export interface JetstreamCommit {
  readonly rev: string
  readonly operation: 'create' | 'update' | 'delete'
  readonly collection: string
  readonly rkey: string
  readonly record?: unknown
  readonly cid?: string
}

/** An event of a log before it has a time: what it is about, and the rest of it. */
export interface UntimedEvent {
  readonly did: string
  /** Of a commit. */
  readonly collection: string | undefined
  /** JSON of everything but `time_us`. */
  readonly body: Omit<JetstreamEvent, 'time_us'>
}

/**
 * What Jetstream makes of one event of a log: an event for each operation of a commit, one for `#identity` and
 * `#account`, none for `#sync` or for a record that cannot be read.
 */
export function jetstreamEvents(entry: LogEntry): readonly UntimedEvent[] {
  let event: StreamEvent
  try {
    const decoded = decodeEvent(entry.frame)
    if (decoded.type === 'info') return []
    event = trustedEvent(decoded, '')
  } catch {
    return []
  }
  const { did, seq, time } = event
  switch (event.type) {
    case 'commit':
      return event.ops.flatMap((op) => {
        const commit = commitOf(event.rev, op)
        if (commit === undefined) return []
        return [{ did, collection: op.collection, body: { did, kind: 'commit' as const, commit } }]
      })
    case 'identity': {
      const handle = event.handle === undefined ? {} : { handle: event.handle }
      const identity = { did, ...handle, seq, time }
      return [{ did, collection: undefined, body: { did, kind: 'identity', identity } }]
    }
    case 'account': {
      const status = event.status === undefined ? {} : { status: event.status }
      const account = { active: event.active, did, seq, ...status, time }
      return [{ did, collection: undefined, body: { did, kind: 'account', account } }]
    }
    default:
      return []
  }
}

function commitOf(
  rev: string,
  {
    action,
    collection,
    rkey,
    cid,
    record,
  }: Extract<StreamEvent, { type: 'commit' }>['ops'][number],
): JetstreamCommit | undefined {
  const commit = { rev, operation: action, collection, rkey }
  if (cid === null) return commit
  if (record === undefined) return undefined
  try {
    const json = lexToJson(decodeCbor(record, { mode: 'tolerant' }))
    return { ...commit, record: json, cid: cid.toString() }
  } catch {
    return undefined
  }
}
