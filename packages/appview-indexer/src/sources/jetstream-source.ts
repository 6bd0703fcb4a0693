import { subscribeJetstream } from '@skywright/firehose/jetstream'
import type { EventFilter, FirehoseIssue, OpenStream } from '@skywright/firehose'

import { EventQueue } from '../event-queue.ts'
import type { EventSource, SourcedEvent } from '../event.ts'
import { indexEvent, repairEvent } from './index-event.ts'

/** Options of {@link jetstreamSource}. */
export interface JetstreamSourceOptions {
  /**
   * Base URL of a Jetstream; also the name its position is stored under. Of several the next is followed when one fails:
   * their positions are times, so they share one.
   */
  readonly service: string | readonly [string, ...string[]]
  /** Only these collections (NSIDs or `prefix.*`) or accounts, chosen by the server. @defaultValue everything */
  readonly filter?: EventFilter
  /** Told of everything that was received and is not an event. */
  readonly onIssue: (issue: FirehoseIssue) => void
  /** How sockets are opened. @defaultValue the platform's `WebSocket` */
  readonly open?: OpenStream
  /** How far back the Jetstream keeps events, in milliseconds: an older position means that events were missed. @defaultValue 23 hours */
  readonly keepsMs?: number
  /** Unix milliseconds. @defaultValue Date.now */
  readonly now?: () => number
}

/** Public Jetstreams keep a day. */
const DEFAULT_KEEPS_MS = 23 * 3_600_000
/** How far back a start goes: clocks of servers differ, and repeats change nothing. */
const REWIND_MS = 10_000
/** A first start goes further back: what is written while the repos are listed must be in the stream or the listing. */
const FIRST_REWIND_MS = 60_000
/** A time further ahead is a wrong clock, and no position to come back to. */
const MAX_LEAD_MS = 300_000
/** Failed connections in a row after which the next service is tried. */
const ATTEMPTS_BEFORE_NEXT = 3
/** Events held between the stream and the indexer. */
const QUEUED_EVENTS = 1_000

/**
 * A Jetstream as a source: small, and filtered at the server. Nothing is proven: who runs the server, or sits between, can
 * make up and leave out what he likes; `reconcile` compares with the repos themselves. Records are hashed and compared
 * with the CID the server names; the repo of one that differs is fetched instead.
 *
 * Positions are times in microseconds. A Jetstream does not tell when it has forgotten a time, so a step of more than
 * `keepsMs` counts as missed events.
 */
export function jetstreamSource(options: JetstreamSourceOptions): EventSource {
  const { service, filter, onIssue, open, keepsMs = DEFAULT_KEEPS_MS, now = Date.now } = options
  const services = typeof service === 'string' ? [service] : service
  const name = services[0] ?? ''
  return {
    name,
    async *events({ cursor, signal }): AsyncGenerator<SourcedEvent, void, void> {
      const queue = new EventQueue(QUEUED_EVENTS)
      let position = cursor ?? (now() - FIRST_REWIND_MS) * 1_000
      /** The position after an event, with the hole before it, if there is one, in line first. */
      const move = async (seq: number): Promise<number> => {
        if (seq > (now() + MAX_LEAD_MS) * 1_000) return position
        if (seq - position > keepsMs * 1_000)
          await queue.push({ type: 'missed', reason: 'OutdatedCursor' })
        return (position = Math.max(position, seq))
      }
      if (cursor === undefined) await queue.push({ type: 'missed', reason: 'NoCursor' })
      const follow = async (
        one: string,
        failed: AbortController,
        both: AbortSignal,
      ): Promise<void> => {
        const events = subscribeJetstream({
          service: one,
          cursor: Math.max(1, position - REWIND_MS * 1_000),
          filter,
          open,
          signal: AbortSignal.any([both, failed.signal]),
          onIssue: (issue) => {
            onIssue(issue)
            if (issue.kind === 'rejected')
              void queue.push(repairEvent(issue.did, issue.seq, now(), position))
            if (issue.kind === 'reconnect' && services.length > 1)
              if (issue.attempt >= ATTEMPTS_BEFORE_NEXT) failed.abort()
          },
        })
        for await (const event of events) {
          const cursor = await move(event.seq)
          const indexed = indexEvent(event)
          // Other operations of the same commit come as events of their own.
          const part = indexed.type === 'commit' ? { ...indexed, partial: true } : indexed
          await queue.push({ ...part, cursor })
        }
      }
      yield* queue.produced(async (stopped) => {
        const both = AbortSignal.any([signal, stopped])
        for (let at = 0; !both.aborted; at++) {
          const failed = new AbortController()
          await follow(services[at % services.length] ?? name, failed, both)
          if (!failed.signal.aborted) break
        }
      })
    },
  }
}
