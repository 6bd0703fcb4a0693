import type { EventLog, LogEntry } from '../event-log/port.ts'
import { createCollectionMatcher } from '../filter.ts'
import { createPauser } from '../pauser.ts'
import { jetstreamEvents, type UntimedEvent } from './jetstream-event.ts'

/** Most `wantedCollections`, as Jetstream allows. */
export const MAX_WANTED_COLLECTIONS = 100
/** Most `wantedDids`, as Jetstream allows. */
export const MAX_WANTED_DIDS = 10_000

/** What a subscriber wants of a Jetstream. */
export interface JetstreamFilter {
  /** NSIDs or `prefix.*`. Absent or empty: all. */
  readonly wantedCollections?: readonly string[]
  /** Absent or empty: all. */
  readonly wantedDids?: readonly string[]
  /** Longer messages are left out. Absent or 0: none is. */
  readonly maxMessageSizeBytes?: number
}

export interface ServeJetstreamOptions {
  /** In microseconds since 1970: everything received at or after it. Absent, or in the future: live. */
  readonly cursor?: number | undefined
  readonly signal?: AbortSignal
  /** Asked for each event, so that it may change while the subscriber is connected. */
  readonly filter: () => JetstreamMatcher
  /** Shared by all subscribers of a log, so that each entry is taken apart once. @defaultValue one of its own */
  readonly memo?: JetstreamMemo
}

/** Entries taken apart, as long as the log keeps them in memory. */
export type JetstreamMemo = WeakMap<LogEntry, readonly UntimedEvent[]>

/** Whether an event is wanted. */
export interface JetstreamMatcher {
  readonly wants: (event: UntimedEvent) => boolean
  readonly maxBytes: number
}

/**
 * Prepares a filter.
 *
 * @throws {RangeError} when it has more entries than Jetstream allows; {@link TypeError} when a pattern is none.
 */
export function createJetstreamMatcher(filter: JetstreamFilter): JetstreamMatcher {
  const { wantedCollections = [], wantedDids = [], maxMessageSizeBytes = 0 } = filter
  if (wantedCollections.length > MAX_WANTED_COLLECTIONS) {
    throw new RangeError(`too many wantedCollections; max=${String(MAX_WANTED_COLLECTIONS)}`)
  }
  if (wantedDids.length > MAX_WANTED_DIDS) {
    throw new RangeError(`too many wantedDids; max=${String(MAX_WANTED_DIDS)}`)
  }
  const matches =
    wantedCollections.length === 0 ? undefined : createCollectionMatcher(wantedCollections)
  const dids = wantedDids.length === 0 ? undefined : new Set(wantedDids)
  return {
    // Identity and account events pass every collection filter.
    wants: ({ did, collection }) =>
      (dids === undefined || dids.has(did)) &&
      (collection === undefined || matches === undefined || matches(collection)),
    maxBytes: maxMessageSizeBytes > 0 ? maxMessageSizeBytes : Infinity,
  }
}

/**
 * The messages of a Jetstream v1 subscriber, from any event log.
 *
 * `time_us` is the millisecond the log received the event in, and the event's place among those of that millisecond:
 * the same for every subscriber and every time it is asked for. Nothing is verified here; serve a log of verified
 * events.
 *
 * @see {@link https://github.com/bluesky-social/jetstream#consuming-jetstream}
 */
export async function* serveJetstream(
  log: EventLog,
  { cursor, signal, filter, memo = new WeakMap() }: ServeJetstreamOptions,
): AsyncGenerator<string, void, void> {
  const tip = log.bounds().last
  const [newest] = await log.read(Math.max(tip - 1, log.bounds().first - 1), { maxEvents: 1 })
  const newestMs = newest?.atMs ?? Infinity
  const cursorMs = Math.floor((cursor ?? Infinity) / 1_000)
  const isLive = cursor === undefined || cursorMs > (newest?.atMs ?? -Infinity)
  // Always from the start of a millisecond, so that places in it are counted right.
  const fromMs = isLive ? newestMs : cursorMs
  let position = fromMs === Infinity ? tip : await log.seek(fromMs)
  let atMs = -1
  let place = 0
  const pauseWhenDue = createPauser()
  for (;;) {
    if (signal?.aborted === true) return
    const before = log.bounds().last
    const page = await log.read(position)
    for (const entry of page) {
      // Most of a window may be of no interest to this subscriber: the others are not to wait for that.
      const pause = pauseWhenDue()
      if (pause !== undefined) {
        await pause
        if (isAborted(signal)) return
      }
      if (entry.atMs !== atMs) {
        atMs = entry.atMs
        place = 0
      }
      position = entry.seq
      for (const event of eventsOf(entry, memo)) {
        const timeUs = atMs * 1_000 + place++
        if (isLive ? entry.seq <= tip : timeUs < cursor) continue
        const { wants, maxBytes } = filter()
        if (!wants(event)) continue
        const { did, ...rest } = event.body
        const message = JSON.stringify({ did, time_us: timeUs, ...rest })
        if (isWithin(message, maxBytes)) yield message
      }
    }
    if (page.length > 0) continue
    position = Math.max(position, before)
    try {
      await log.changed(position, signal)
    } catch (error) {
      if (isAborted(signal)) return
      throw error
    }
  }
}

function isWithin(message: string, maxBytes: number): boolean {
  return maxBytes === Infinity || new TextEncoder().encode(message).length <= maxBytes
}

function eventsOf(entry: LogEntry, taken: JetstreamMemo): readonly UntimedEvent[] {
  let events = taken.get(entry)
  if (events === undefined) {
    events = jetstreamEvents(entry)
    taken.set(entry, events)
  }
  return events
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
