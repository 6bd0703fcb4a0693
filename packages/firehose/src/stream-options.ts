import type { BackoffOptions } from './backoff.ts'
import type { CursorStore } from './cursor-store.ts'
import type { EventFilter } from './filter.ts'
import type { ResyncOptions } from './resync/synchronizer.ts'
import type { OpenStream } from './socket.ts'
import type { FirehoseIssue } from './stream-event.ts'
import type { StreamObserver } from './tally.ts'
import type { Clock } from './timer.ts'
import type { EventVerifier } from './verify/verifier.ts'

/** How a firehose is followed. */
export interface StreamOptions {
  /**
   * `https://`, `wss://`, `http://` or `ws://` base URL of a PDS or relay. Several relays of the same network: when one
   * fails {@link failoverAttempts} times in a row, the next one is followed, from its own stored cursor or from shortly
   * before the latest events handled. Repeats are recognised by a verifier, as stale revs.
   */
  readonly service: string | readonly string[]
  /**
   * Where to start: after this `seq`; or a store, which is also kept up to date under the service's URL. Absent, or a
   * store without an entry: only what happens from now on.
   */
  readonly cursor?: number | CursorStore | undefined
  /**
   * Proves every commit; `false` trusts the service and says so in `event.verified`.
   *
   * The verifier's policy decides about commits that do not follow the state known here: `relay` delivers them with
   * `discontinuity` set, `consumer` only reports them to `onIssue`.
   */
  readonly verify: EventVerifier | false
  /**
   * Fetches repositories whose commits do not follow, and those of a backfill, and delivers what changed as events with
   * `live: false`. Needs a verifier with policy `consumer`.
   */
  readonly resync?: ResyncOptions | undefined
  /** Only matching commits, cut to their matching operations, are delivered. Other events always are. */
  readonly filter?: EventFilter | undefined
  /** Told of everything received that was not delivered as an event, and of the connection. Must not throw. */
  readonly onIssue: (issue: FirehoseIssue) => void
  /** Told of every frame, for metrics. Must not throw. @defaultValue nobody, at no cost */
  readonly observe?: StreamObserver | undefined
  /** Ends the stream. */
  readonly signal?: AbortSignal | undefined
  /** How sockets are opened. @defaultValue the platform's `WebSocket`; on Node prefer `@skywright/firehose/ws` */
  readonly open?: OpenStream | undefined
  /** Delays between connections. */
  readonly backoff?: BackoffOptions | undefined
  /** Give up after this many failed connections in a row. @defaultValue never */
  readonly maxAttempts?: number | undefined
  /** Failed connections in a row after which the next of several services is followed. @defaultValue 3 */
  readonly failoverAttempts?: number | undefined
  /** Accounts worked on at the same time. @defaultValue 64 */
  readonly concurrency?: number | undefined
  /** Frames received and not yet handled above which the socket is paused. @defaultValue 2 000 */
  readonly maxPendingEvents?: number | undefined
  /** Bytes of such frames above which the socket is paused. @defaultValue 32 MiB */
  readonly maxPendingBytes?: number | undefined
  /** How often the cursor is stored, in milliseconds. @defaultValue 1000 */
  readonly cursorIntervalMs?: number | undefined
  /** Report a stall after this much silence, in milliseconds. @defaultValue 60 000 */
  readonly stallMs?: number | undefined
  /** Reconnect after this much silence, in milliseconds. @defaultValue never: the socket's keep-alive decides */
  readonly idleTimeoutMs?: number | undefined
  /** Report when events are older than this on arrival, in milliseconds. @defaultValue 60 000 */
  readonly lagMs?: number | undefined
  /** @defaultValue the real clock */
  readonly clock?: Clock | undefined
}

/** The stored cursor to start from, and the store to keep up to date. */
export async function startCursor(
  service: string,
  cursor: StreamOptions['cursor'],
): Promise<{ readonly cursor: number | undefined; readonly cursors: CursorStore | undefined }> {
  if (typeof cursor === 'object') return { cursor: await cursor.get(service), cursors: cursor }
  if (cursor !== undefined && (!Number.isSafeInteger(cursor) || cursor < 0)) {
    throw new RangeError(`cursor must be a non-negative integer; cursor=${String(cursor)}`)
  }
  return { cursor, cursors: undefined }
}
