import { cidForCbor, encodeCbor, jsonToLex, parseCid } from '@skywright/repo'
import { backoffMs, type BackoffOptions } from '../backoff.ts'
import type { CursorStore } from '../cursor-store.ts'
import { DisconnectedError, InvalidFrameError } from '../errors.ts'
import type { EventFilter } from '../filter.ts'
import { MAX_FRAME_BYTES } from '../limits.ts'
import { openPlatformSocket } from '../platform-socket.ts'
import type { OpenStream } from '../socket.ts'
import type { FirehoseIssue, StreamEvent, StreamOp } from '../stream-event.ts'
import { startCursor } from '../stream-options.ts'
import { systemClock, type Clock } from '../timer.ts'
import { isDid } from '../verify/check-event.ts'
import { asError } from '../verify/reasons.ts'

/** How far a reconnect goes back: times of servers are not exact, and repeats are recognised. */
const REWIND_US = 5_000_000
const HIGH_WATER_BYTES = 4_194_304
/** Events remembered to recognise repeats. */
const MAX_REMEMBERED = 200_000

export interface SubscribeJetstreamOptions {
  /** Base URL of a Jetstream, such as `wss://jetstream1.us-east.bsky.network`. */
  readonly service: string
  /** In microseconds since 1970; a store is also kept up to date. Absent: live. */
  readonly cursor?: number | CursorStore | undefined
  readonly filter?: EventFilter | undefined
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly signal?: AbortSignal | undefined
  /** @defaultValue the platform's `WebSocket` */
  readonly open?: OpenStream | undefined
  readonly backoff?: BackoffOptions | undefined
  readonly clock?: Clock | undefined
}

/**
 * Follows a Jetstream (v1) with the events of {@link subscribeRepos}: `verified` is false, `seq` is `time_us`, a commit
 * has one operation and no `commit`, `data` or `since`. Records are encoded as DAG-CBOR and must hash to the CID the
 * server names; one that does not is reported as `record-mismatch` and left out.
 *
 * An event counts as handled when the loop asks for the next one. After a lost connection the stream is rewound by some
 * seconds; repeats are recognised. A server that has forgotten the cursor's time goes on silently with what it has:
 * that is how Jetstream is.
 */
export async function* subscribeJetstream(
  options: SubscribeJetstreamOptions,
): AsyncGenerator<StreamEvent, void, void> {
  const { service, onIssue, open = openPlatformSocket, clock = systemClock } = options
  const start = await startCursor(service, options.cursor)
  const left = new AbortController()
  const signal =
    options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal])
  const seen = new Seen()
  let { cursor } = start
  let attempt = 0
  try {
    for (;;) {
      let failure: unknown
      try {
        const from =
          cursor === undefined ? undefined : Math.max(1, cursor - (seen.size > 0 ? REWIND_US : 0))
        const messages = open(subscribeUrl(service, options.filter, from), {
          signal,
          maxFrameBytes: MAX_FRAME_BYTES,
          highWaterBytes: HIGH_WATER_BYTES,
          text: true,
        })
        for await (const message of messages) {
          attempt = 0
          const event = read(message, service, onIssue)
          if (event === undefined || seen.has(event)) continue
          yield event
          cursor = Math.max(cursor ?? 0, event.seq)
          await start.cursors?.set(service, cursor)
        }
        failure = new DisconnectedError('stream ended')
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof DisconnectedError)) throw error
        failure = error
      }
      attempt++
      const delayMs = backoffMs(attempt, options.backoff)
      onIssue({ kind: 'reconnect', source: service, attempt, delayMs, error: failure })
      try {
        await clock.sleep(delayMs, signal)
      } catch {
        return
      }
    }
  } finally {
    left.abort()
  }
}

function subscribeUrl(
  service: string,
  filter: EventFilter | undefined,
  cursor: number | undefined,
): string {
  const url = new URL('/subscribe', service)
  if (url.protocol === 'https:') url.protocol = 'wss:'
  if (url.protocol === 'http:') url.protocol = 'ws:'
  for (const one of filter?.collections ?? []) url.searchParams.append('wantedCollections', one)
  for (const one of filter?.dids ?? []) url.searchParams.append('wantedDids', one)
  if (cursor !== undefined) url.searchParams.set('cursor', String(cursor))
  return url.href
}

/** Recognises what was delivered already. */
class Seen {
  private readonly keys = new Set<string>()

  get size(): number {
    return this.keys.size
  }

  has(event: StreamEvent): boolean {
    const key =
      event.type === 'commit'
        ? `${event.did} ${event.rev} ${event.ops.map(({ action, path }) => `${action} ${path}`).join()}`
        : `${event.did} ${event.type} ${event.time}`
    if (this.keys.has(key)) return true
    this.keys.add(key)
    for (const oldest of this.keys) {
      if (this.keys.size <= MAX_REMEMBERED) break
      this.keys.delete(oldest)
    }
    return false
  }
}

type Fields = Readonly<Record<string, unknown>>

function read(
  message: Uint8Array,
  source: string,
  onIssue: (issue: FirehoseIssue) => void,
): StreamEvent | undefined {
  let seq: number | undefined
  try {
    const event = fields(JSON.parse(new TextDecoder().decode(message)), 'event')
    const { did, time_us: timeUs, kind } = event
    if (typeof timeUs !== 'number' || !Number.isSafeInteger(timeUs)) throw wrong('time_us')
    seq = timeUs
    if (typeof did !== 'string' || !isDid(did)) throw wrong('did')
    const time = new Date(timeUs / 1_000).toISOString()
    const base = { seq, did, source, verified: false, live: true }
    if (kind === 'identity') {
      const { handle, time: at = time } = fields(event['identity'], 'identity')
      const hint = typeof handle === 'string' ? { handle } : {}
      return { ...base, type: 'identity', ...hint, time: String(at) }
    }
    if (kind === 'account') {
      const { active, status, time: at = time } = fields(event['account'], 'account')
      if (typeof active !== 'boolean') throw wrong('account.active')
      const why = typeof status === 'string' ? { status } : {}
      return { ...base, type: 'account', active, ...why, time: String(at) }
    }
    if (kind !== 'commit') {
      onIssue({ kind: 'unknown-frame', source, seq, type: String(kind) })
      return undefined
    }
    const commit = fields(event['commit'], 'commit')
    const { rev } = commit
    if (typeof rev !== 'string') throw wrong('commit.rev')
    const op = readOp(commit)
    if (op === 'mismatch') {
      onIssue({ kind: 'rejected', source, seq, did, reason: 'record-mismatch' })
      return undefined
    }
    return { ...base, type: 'commit', rev, ops: [op], time }
  } catch (error) {
    onIssue({
      kind: 'invalid-frame',
      source,
      error: asError(error),
      ...(seq === undefined ? {} : { seq }),
    })
    return undefined
  }
}

function readOp({ operation, collection, rkey, record, cid }: Fields): StreamOp | 'mismatch' {
  if (operation !== 'create' && operation !== 'update' && operation !== 'delete') {
    throw wrong('commit.operation')
  }
  if (typeof collection !== 'string' || typeof rkey !== 'string') throw wrong('commit.collection')
  const action: StreamOp['action'] = operation
  const where = { action, collection, rkey, path: `${collection}/${rkey}` }
  if (operation === 'delete') return { ...where, cid: null }
  if (typeof cid !== 'string') throw wrong('commit.cid')
  const bytes = encodeCbor(jsonToLex(record as Parameters<typeof jsonToLex>[0]))
  const named = parseCid(cid)
  return cidForCbor(bytes).equals(named) ? { ...where, cid: named, record: bytes } : 'mismatch'
}

function fields(value: unknown, name: string): Fields {
  if (value === null || typeof value !== 'object') throw wrong(name)
  // A JSON object; its fields are checked one by one.
  return value as Fields
}

function wrong(field: string): InvalidFrameError {
  return new InvalidFrameError(`bad field ${field}`, { part: 'body' })
}
