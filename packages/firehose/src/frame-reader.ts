import { decodeEvent } from './codec.ts'
import { InvalidFrameError, UnknownFrameError } from './errors.ts'
import type { CommitEvent, RepoEvent, SyncEvent } from './event.ts'
import type { EventFilter } from './filter.ts'
import type { FirehoseIssue, StreamEvent } from './stream-event.ts'
import type { FrameTally } from './tally.ts'
import type { Clock } from './timer.ts'
import { trustedEvent } from './to-stream-event.ts'
import { asError } from './verify/reasons.ts'

/** Least time between two lag reports, in milliseconds. */
const LAG_REPORT_MS = 30_000

export interface FrameReaderOptions {
  readonly source: string
  /** Told what became of what is no event. */
  readonly tally: FrameTally
  readonly filter: EventFilter | undefined
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly clock: Clock
  readonly lagMs: number
}

/** Makes events of frames. What is none is counted and reported. */
export class FrameReader {
  private readonly options: FrameReaderOptions
  private laggedAtMs = -Infinity

  constructor(options: FrameReaderOptions) {
    this.options = options
  }

  /** The event of a frame that has a number; `undefined` when it has to be left out. */
  event(frame: Uint8Array, seq: number, type: string | undefined): RepoEvent | undefined {
    const { source, onIssue, tally } = this.options
    try {
      const event = decodeEvent(frame)
      if (event.type === 'info') throw new InvalidFrameError('info with a seq', { part: 'body' })
      return event
    } catch (error) {
      if (error instanceof UnknownFrameError) {
        tally.ended(type, 'unknown')
        const { op, type: stranger } = error
        const named = stranger === undefined ? {} : { type: stranger }
        onIssue({ kind: 'unknown-frame', source, op, seq, ...named })
        return undefined
      }
      tally.ended(type, 'invalid')
      onIssue({ kind: 'invalid-frame', source, seq, error: asError(error) })
      return undefined
    }
  }

  /** Reports a frame without a number: a note of the service. */
  info(frame: Uint8Array, cursor: number | undefined, type: string | undefined): void {
    const { source, onIssue, tally } = this.options
    try {
      const event = decodeEvent(frame)
      if (event.type !== 'info')
        throw new InvalidFrameError('message without seq', { part: 'body' })
      tally.ended(type, 'info')
      const message = event.message === undefined ? {} : { message: event.message }
      if (event.name === 'OutdatedCursor') {
        onIssue({ kind: 'outdated-cursor', source, cursor, ...message })
      } else onIssue({ kind: 'info', source, name: event.name, ...message })
    } catch (error) {
      if (error instanceof UnknownFrameError) {
        tally.ended(type, 'unknown')
        const { op, type: stranger } = error
        const named = stranger === undefined ? {} : { type: stranger }
        onIssue({ kind: 'unknown-frame', source, op, ...named })
        return
      }
      tally.ended(type, 'invalid')
      onIssue({ kind: 'invalid-frame', source, error: asError(error) })
    }
  }

  /** The event as it is taken from a service that is trusted; `undefined` when it has to be left out. */
  trust(event: CommitEvent | SyncEvent): StreamEvent | undefined {
    const { source, filter, onIssue, tally } = this.options
    try {
      return trustedEvent(event, source, filter)
    } catch (error) {
      tally.endedEvent(event, 'invalid')
      onIssue({ kind: 'invalid-frame', source, seq: event.seq, error: asError(error) })
      return undefined
    }
  }

  /** Reports, now and then, when events are old on arrival. */
  checkLag(event: RepoEvent): void {
    const { clock, lagMs, source, onIssue } = this.options
    const nowMs = clock.now()
    if (nowMs - this.laggedAtMs < LAG_REPORT_MS) return
    const behindMs = nowMs - Date.parse(event.time)
    if (!(behindMs >= lagMs)) return
    this.laggedAtMs = nowMs
    onIssue({ kind: 'lag', source, lagMs: behindMs, seq: event.seq })
  }
}
