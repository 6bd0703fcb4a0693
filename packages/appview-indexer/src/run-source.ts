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
  const { source, cursor, maxBatchEvents, signal } = options
  const queue = new EventQueue<SourcedEvent>(maxBatchEvents * 2)
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const reading = (async (): Promise<void> => {
    try {
      for await (const event of source.events({ cursor, signal: both })) {
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
      const events = await queue.take(maxBatchEvents)
      if (events === undefined) break
      await applyStubbornly(options, events)
    }
  } finally {
    stop.abort()
    queue.release()
    await reading
  }
}

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
      if (!(error instanceof StoreFailureError) || !error.retryable) throw error
      onIssue({ kind: 'store-failed', error, attempt })
      await delay(backoffMs(attempt, FIRST_RETRY_MS, MAX_RETRY_MS), signal)
    }
  }
}
