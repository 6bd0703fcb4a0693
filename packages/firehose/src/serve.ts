import { encodeErrorFrame } from '@skywright/xrpc/frame'
import { encodeEvent } from './codec.ts'
import type { EventLog } from './event-log/port.ts'

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
  const liveFrom = log.bounds().last
  return frames(log, liveFrom, options)
}

async function* frames(
  log: EventLog,
  liveFrom: number,
  { cursor, signal, maxLagEvents = DEFAULT_MAX_LAG_EVENTS }: ServeEventsOptions,
): AsyncGenerator<Uint8Array, void, void> {
  if (isAborted(signal)) return
  const { first, last } = log.bounds()
  let position = cursor ?? liveFrom
  if (position > last) {
    yield encodeErrorFrame('FutureCursor', 'Cursor is in the future')
    return
  }
  if (position < first - 1) {
    if (position > 0) {
      yield encodeEvent(
        {
          type: 'info',
          name: 'OutdatedCursor',
          message: 'Requested cursor is older than the oldest event kept; some events were missed',
        },
        0,
      )
    }
    position = first - 1
  }
  let reachedTip = false
  for (;;) {
    const tip = log.bounds().last
    const page = await log.read(position)
    for (const entry of page) {
      const bounds = log.bounds()
      const lag = bounds.last - position
      if (position < bounds.first - 1 || (reachedTip && lag > maxLagEvents)) {
        yield encodeErrorFrame(
          'ConsumerTooSlow',
          `Stream consumer is too slow; events behind: ${String(lag)}`,
        )
        return
      }
      yield entry.frame
      if (isAborted(signal)) return
      position = entry.seq
    }
    if (page.length > 0) continue
    reachedTip = true
    // Nothing between the position and the tip: those numbers were erased or never became events.
    position = Math.max(position, tip)
    if (!(await grew(log, position, signal))) return
  }
}

/** Waits until there is more; `false` when the subscriber left instead. */
async function grew(
  log: EventLog,
  position: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await log.changed(position, signal)
    return true
  } catch (error) {
    if (isAborted(signal)) return false
    throw error
  }
}

/** A call, so that an earlier check does not narrow a later one. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
