import { backoffMs } from './backoff.ts'
import type { Delay } from './backoff.ts'
import { StoreFailureError } from './errors.ts'
import type { EventSource, SourcedEvent } from './event.ts'
import { EventQueue } from './event-queue.ts'
import type { BatchResult, IndexIssue } from './indexer.ts'

/** Pauses while the database refuses. */
const FIRST_RETRY_MS = 100
const MAX_RETRY_MS = 30_000

/** Options of {@link runSource}. */
export interface RunOptions {
  readonly source: EventSource
  readonly cursor: number | undefined
  readonly cursorOf: (upstream: string) => Promise<number | undefined>
  /** Told of each event as it comes, before its batch. */
  readonly onRead: (event: SourcedEvent) => void
  readonly maxBatchEvents: number
  readonly signal: AbortSignal
  readonly apply: (events: readonly SourcedEvent[]) => Promise<BatchResult>
  readonly onIssue: (issue: IndexIssue) => void
  readonly delay: Delay
}

/**
 * Reads a source while the batch before is being written: whatever gathered meanwhile is the next batch, so
 * batches are small when the stream is calm and large when it is not. A refusing database is retried for ever
 * with the same events; the source is held back meanwhile, and nothing is lost.
 */
export async function runSource(options: RunOptions): Promise<void> {
  const { source, cursor, cursorOf, onRead, maxBatchEvents, signal } = options
  const queue = new EventQueue(maxBatchEvents * 2)
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const reading = (async (): Promise<void> => {
    try {
      for await (const event of source.events({ cursor, cursorOf, signal: both })) {
        onRead(event)
        await queue.push(event)
        if (both.aborted) break
      }
      queue.end()
    } catch (error) {
      queue.end(both.aborted ? undefined : { error })
    }
  })()
  try {
    for (;;) {
      const events = await queue.gather(maxBatchEvents)
      if (events === undefined) break
      await applyStubbornly(options, events)
    }
  } finally {
    stop.abort()
    queue.release()
    await reading
  }
}

/**
 * A batch failed for a reason that is not the database's: it is halved until the event is found. That event is set
 * aside, its repo is fetched instead, and the stream goes on.
 */
async function isolate(
  options: RunOptions,
  events: readonly SourcedEvent[],
  error: unknown,
): Promise<void> {
  const [event] = events
  if (event === undefined) return
  if (events.length > 1) {
    const half = Math.ceil(events.length / 2)
    await applyStubbornly(options, events.slice(0, half))
    await applyStubbornly(options, events.slice(half))
    return
  }
  if (event.type === 'position' || event.type === 'missed' || event.type === 'sync') throw error
  if (event.type === 'labels') {
    const { seq, upstream } = event
    options.onIssue({ kind: 'event-failed', did: event.labels[0]?.src ?? '', seq, error })
    await applyStubbornly(options, [{ type: 'position', seq, upstream }])
    return
  }
  const { seq, did } = event
  options.onIssue({ kind: 'event-failed', did, seq, error })
  const { upstream } = event
  const cursor = 'cursor' in event ? { cursor: event.cursor, upstream } : { upstream }
  const rev = event.type === 'commit' ? event.rev : LOWEST_REV
  await applyStubbornly(options, [{ type: 'sync', seq, did, rev, ...cursor }])
}

/** Not above any rev: only the cursor moves. */
const LOWEST_REV = '2222222222222'

async function applyStubbornly(
  options: RunOptions,
  events: readonly SourcedEvent[],
): Promise<void> {
  const { apply, onIssue, delay, signal } = options
  for (let attempt = 1; ; attempt++) {
    try {
      await apply(events)
      return
    } catch (error) {
      if (!(error instanceof StoreFailureError)) {
        await isolate(options, events, error)
        return
      }
      if (!error.retryable) throw error
      onIssue({ kind: 'store-failed', error, attempt })
      await delay(backoffMs(attempt, FIRST_RETRY_MS, MAX_RETRY_MS), signal)
    }
  }
}
