import { encodeErrorFrame } from '@skywright/xrpc/frame'
import { encodeEvent } from './codec.ts'
import type { EventLog, LogEntry } from './event-log/port.ts'

/** A subscriber that was at the tip and is now this many numbers behind is cut off. */
export const DEFAULT_MAX_LAG_EVENTS = 100_000

export interface ServeEventsOptions {
  /**
   * Where the subscriber wants to continue: it gets the events with a greater `seq`. Absent: only what happens from
   * now on. 0: everything still there.
   */
  readonly cursor?: number | undefined
  /** Ends the stream quietly. */
  readonly signal?: AbortSignal
  /**
   * Cut off a subscriber that had reached the tip and fell behind it by more than this many sequence numbers.
   *
   * @defaultValue 100 000
   */
  readonly maxLagEvents?: number
}

/**
 * Frames for one subscriber, by the cursor rules of the specification.
 *
 * - no cursor: live only, from the moment of this call;
 * - a cursor beyond the newest event: one `FutureCursor` error frame, then the end;
 * - a cursor older than the log: `#info OutdatedCursor`, then everything still there, then live;
 * - otherwise: everything after the cursor, then live, without gap or double.
 *
 * The cursor is exclusive: `cursor=N` continues after event N. Every frame is a shared array of the log: nothing is
 * copied or encoded per subscriber, and a subscriber holds no queue, only a position. One that falls out of the log,
 * or further behind than `maxLagEvents`, gets a `ConsumerTooSlow` error frame and the end.
 *
 * @see {@link https://atproto.com/specs/event-stream#sequence-numbers}
 */
export function serveEvents(
  log: EventLog,
  options: ServeEventsOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  // Taken now, not at the first next(): a live subscriber sees what happens while its socket is still being set up.
  return frames(openEventCursor(log, options), options.signal)
}

async function* frames(
  cursor: EventCursor,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    const step = await cursor.next(signal)
    if (step.kind === 'end') return
    if (step.kind === 'frames') {
      yield* step.frames
      if (step.last) return
      continue
    }
    for (const entry of step.entries) {
      const slow = cursor.tooSlow()
      if (slow !== undefined) {
        yield slow
        return
      }
      yield entry.frame
      if (isAborted(signal)) return
      cursor.passed(entry.seq)
    }
  }
}

/** What a subscriber gets next. */
export type EventStep =
  | { readonly kind: 'entries'; readonly entries: readonly LogEntry[] }
  /** Frames that are no events of the log; after the `last` ones the stream ends. */
  | { readonly kind: 'frames'; readonly frames: readonly Uint8Array[]; readonly last: boolean }
  /** The subscriber's signal aborted. */
  | { readonly kind: 'end' }

/** One subscriber's position in a log. */
export interface EventCursor {
  /** The next page. The position moves behind it when the one after it is asked for. */
  next(signal?: AbortSignal): Promise<EventStep>
  /** The event was sent: moves the position inside a page. */
  passed(seq: number): void
  /** The error frame for a subscriber that fell too far behind its position, if it did. */
  tooSlow(): Uint8Array | undefined
}

/** Opens a position by the cursor rules of {@link serveEvents}, page by page, for servers that write many frames at once. */
export function openEventCursor(
  log: EventLog,
  { cursor, maxLagEvents = DEFAULT_MAX_LAG_EVENTS }: Omit<ServeEventsOptions, 'signal'> = {},
): EventCursor {
  return new LogCursor(log, cursor, maxLagEvents)
}

class LogCursor implements EventCursor {
  private readonly log: EventLog
  private readonly maxLagEvents: number
  private readonly asked: number | undefined
  private position: number
  private pageEnd: number | undefined
  private started = false
  private reachedTip = false

  constructor(log: EventLog, cursor: number | undefined, maxLagEvents: number) {
    this.log = log
    this.maxLagEvents = maxLagEvents
    this.asked = cursor
    this.position = cursor ?? log.bounds().last
  }

  async next(signal?: AbortSignal): Promise<EventStep> {
    if (isAborted(signal)) return { kind: 'end' }
    if (!this.started) {
      this.started = true
      const opening = this.open()
      if (opening !== undefined) return opening
    }
    if (this.pageEnd !== undefined) this.position = this.pageEnd
    this.pageEnd = undefined
    for (;;) {
      const slow = this.tooSlow()
      if (slow !== undefined) return { kind: 'frames', frames: [slow], last: true }
      const tip = this.log.bounds().last
      const entries = await this.log.read(this.position)
      const end = entries.at(-1)
      if (end !== undefined) {
        this.pageEnd = end.seq
        return { kind: 'entries', entries }
      }
      this.reachedTip = true
      // Nothing between the position and the tip: those numbers were erased or never became events.
      this.position = Math.max(this.position, tip)
      if (!(await this.grew(signal))) return { kind: 'end' }
    }
  }

  passed(seq: number): void {
    this.position = seq
  }

  tooSlow(): Uint8Array | undefined {
    const { first, last } = this.log.bounds()
    const lag = last - this.position
    if (this.position >= first - 1 && (!this.reachedTip || lag <= this.maxLagEvents)) {
      return undefined
    }
    return encodeErrorFrame(
      'ConsumerTooSlow',
      `Stream consumer is too slow; events behind: ${String(lag)}`,
    )
  }

  /** What the cursor asked for may call for an answer before the first event. */
  private open(): EventStep | undefined {
    const { first, last } = this.log.bounds()
    if (this.position > last) {
      const error = encodeErrorFrame('FutureCursor', 'Cursor is in the future')
      return { kind: 'frames', frames: [error], last: true }
    }
    if (this.asked === undefined || this.position >= first - 1) return undefined
    this.position = first - 1
    if (this.asked === 0) return undefined
    const info = encodeEvent(
      {
        type: 'info',
        name: 'OutdatedCursor',
        message: 'Requested cursor is older than the oldest event kept; some events were missed',
      },
      0,
    )
    return { kind: 'frames', frames: [info], last: false }
  }

  /** Waits until there is more; `false` when the subscriber left instead. */
  private async grew(signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.log.changed(this.position, signal)
      return true
    } catch (error) {
      if (isAborted(signal)) return false
      throw error
    }
  }
}

/** A call, so that an earlier check does not narrow a later one. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
