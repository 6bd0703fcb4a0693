import type { StreamEvent } from '../stream-event.ts'

/** Where a subscriber is in a Jetstream. */
export interface JetstreamPosition {
  /** The cursor to connect with; `undefined` for live. */
  from(): number | undefined
  /** Whether an event was not delivered before. */
  isNew(event: StreamEvent): boolean
  /** The event was handled. @returns the cursor to store. */
  passed(event: StreamEvent): number
}

/** How far a reconnect goes back: times of servers are not exact, and repeats are recognised. */
const REWIND_US = 5_000_000
/** Events remembered to recognise repeats. */
const MAX_REMEMBERED = 200_000

/** A place in a Jetstream v1, whose cursor is a time. */
export class TimePosition implements JetstreamPosition {
  private readonly seen = new Set<string>()
  private cursor: number | undefined

  constructor(cursor: number | undefined) {
    this.cursor = cursor
  }

  from(): number | undefined {
    if (this.cursor === undefined) return undefined
    return Math.max(1, this.cursor - (this.seen.size > 0 ? REWIND_US : 0))
  }

  isNew(event: StreamEvent): boolean {
    const key =
      event.type === 'commit'
        ? `${event.did} ${event.rev} ${event.ops.map(({ action, path }) => `${action} ${path}`).join()}`
        : `${event.did} ${event.type} ${event.time}`
    if (this.seen.has(key)) return false
    this.seen.add(key)
    for (const oldest of this.seen) {
      if (this.seen.size <= MAX_REMEMBERED) break
      this.seen.delete(oldest)
    }
    return true
  }

  passed({ seq }: StreamEvent): number {
    this.cursor = Math.max(this.cursor ?? 0, seq)
    return this.cursor
  }
}

/** Cursors of v2 from here on are times in microseconds, not numbers of events. */
const FIRST_TIME_CURSOR = 1e15

/** A place in a Jetstream v2, whose events are numbered. */
export class SeqPosition implements JetstreamPosition {
  /** The newest event handled. */
  private last: number | undefined
  /** Set while the place is known only by its time. */
  private timeUs: number | undefined
  private lastTimeMs = Number.NaN

  constructor(cursor: number | undefined) {
    if (cursor !== undefined && cursor >= FIRST_TIME_CURSOR) this.timeUs = cursor
    else this.last = cursor
  }

  /** The event at the cursor comes once more: the server takes it as inclusive. */
  from(): number | undefined {
    return this.timeUs ?? this.last
  }

  isNew({ seq }: StreamEvent): boolean {
    return this.last === undefined || seq > this.last
  }

  passed({ seq, time }: StreamEvent): number {
    this.last = seq
    this.timeUs = undefined
    this.lastTimeMs = Date.parse(time)
    return seq
  }

  /** The server does not have the events behind the cursor any more: from the time of it, or the oldest there is. */
  goByTime(): void {
    const timeUs = this.lastTimeMs * 1_000
    this.timeUs = timeUs >= FIRST_TIME_CURSOR ? timeUs : FIRST_TIME_CURSOR
  }
}
