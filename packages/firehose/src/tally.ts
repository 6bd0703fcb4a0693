import type { ConsumerCounts } from './consumer-counts.ts'
import type { RepoEvent } from './event.ts'
import type { Clock } from './timer.ts'

/** What became of a frame: one of the counts of {@link ConsumerCounts}. */
export type FrameOutcome = Exclude<keyof ConsumerCounts, 'received'>

/** Kinds of frames, a small set whatever a service sends. */
export type FrameType = RepoEvent['type'] | 'info' | 'unknown'

/**
 * One thing to measure. Every frame is received once and, unless the run was stopped before it was handled, ends once.
 * Sources, types, outcomes and reasons are few, and so fit for labels of metrics.
 */
export type StreamObservation =
  | {
      readonly kind: 'received'
      readonly source: string
      readonly type: FrameType
      readonly bytes: number
      /** Frames and their bytes received before and not handled yet. */
      readonly waitingEvents: number
      readonly waitingBytes: number
    }
  | {
      readonly kind: 'ended'
      readonly source: string
      readonly type: FrameType
      readonly outcome: FrameOutcome
      /** Why it was rejected, or does not follow. */
      readonly reason?: string | undefined
      /** Age of the event now, by its own `time`, in milliseconds; absent where it was not read so far. */
      readonly lagMs?: number | undefined
    }

/** Takes observations as they are made, between two frames. Must not throw. */
export type StreamObserver = (observation: StreamObservation) => void

export interface FrameTallyOptions {
  readonly source: string
  /** Counted into. */
  readonly counts: ConsumerCounts
  readonly observe: StreamObserver | undefined
  readonly clock: Clock
}

/** Counts frames and what becomes of them, and tells an observer if there is one. */
export class FrameTally {
  private readonly options: FrameTallyOptions

  constructor(options: FrameTallyOptions) {
    this.options = options
  }

  /** @param type as the frame's header has it. */
  received(
    type: string | undefined,
    bytes: number,
    waiting: { readonly items: number; readonly bytes: number },
  ): void {
    const { counts, observe, source } = this.options
    counts.received++
    observe?.({
      kind: 'received',
      source,
      type: frameType(type),
      bytes,
      waitingEvents: waiting.items,
      waitingBytes: waiting.bytes,
    })
  }

  ended(type: string | undefined, outcome: FrameOutcome): void {
    const { counts, observe, source } = this.options
    counts[outcome]++
    observe?.({ kind: 'ended', source, type: frameType(type), outcome })
  }

  endedEvent({ type, time }: RepoEvent, outcome: FrameOutcome, reason?: string): void {
    const { counts, observe, source, clock } = this.options
    counts[outcome]++
    if (observe === undefined) return
    // Clocks differ: nothing is younger than now.
    const lagMs = Math.max(0, clock.now() - Date.parse(time))
    observe({
      kind: 'ended',
      source,
      type,
      outcome,
      ...(reason === undefined ? {} : { reason }),
      ...(Number.isNaN(lagMs) ? {} : { lagMs }),
    })
  }
}

const TYPES: ReadonlyMap<string | undefined, FrameType> = new Map<string, FrameType>([
  ['#commit', 'commit'],
  ['#sync', 'sync'],
  ['#identity', 'identity'],
  ['#account', 'account'],
  ['#info', 'info'],
])

function frameType(type: string | undefined): FrameType {
  return TYPES.get(type) ?? 'unknown'
}
