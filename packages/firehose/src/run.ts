import { backoffMs } from './backoff.ts'
import { Consumer, type ConsumerCounts, type Delivery } from './consume.ts'
import { followFrames } from './follow.ts'
import { openPlatformSocket } from './platform-socket.ts'
import type { StreamEvent } from './stream-event.ts'
import { startCursor, type StreamOptions } from './stream-options.ts'
import { systemClock } from './timer.ts'

/** Method of the firehose. */
const SUBSCRIBE_REPOS = 'com.atproto.sync.subscribeRepos'

/** How often a failing handler is tried before the run fails. */
const DEFAULT_HANDLER_ATTEMPTS = 5

export interface RunReposOptions extends StreamOptions {
  /**
   * Handles one event. The event counts as done when the promise resolves. Events of one account are handled one after
   * the other in stream order; up to `concurrency` accounts at the same time.
   */
  readonly handle: (event: StreamEvent, signal: AbortSignal) => Promise<void> | void
  /**
   * How often a failing handler is called again for the same event, with growing delays, before the run fails and the
   * cursor stays below the event.
   *
   * @defaultValue 5
   */
  readonly handlerAttempts?: number
}

/**
 * Follows a firehose with a handler, until the signal aborts.
 *
 * Delivery is at-least-once and in order per account. The stored cursor is the highest `seq` below every unfinished
 * event: after a crash events may come again, none is skipped.
 *
 * @returns counts of everything received.
 * @throws the handler's error after `handlerAttempts` failures of one event.
 * @throws {FutureCursorError} when the service does not know the cursor yet.
 */
export async function runRepos(options: RunReposOptions): Promise<Readonly<ConsumerCounts>> {
  const { handle, handlerAttempts = DEFAULT_HANDLER_ATTEMPTS, onIssue, service } = options
  const { clock = systemClock } = options
  return await runStream(options, async ({ event, finish }, signal) => {
    for (let attempt = 1; ; attempt++) {
      try {
        await handle(event, signal)
        finish()
        return
      } catch (error) {
        signal.throwIfAborted()
        const { seq, did } = event
        onIssue({ kind: 'handler-failed', source: service, seq, did, error, attempt })
        if (attempt >= handlerAttempts) throw error
        await clock.sleep(backoffMs(attempt, options.backoff), signal)
      }
    }
  })
}

/** Runs a stream into `deliver` until the signal aborts or something fails. */
export async function runStream(
  options: StreamOptions,
  deliver: (delivery: Delivery, signal: AbortSignal) => Promise<void>,
): Promise<Readonly<ConsumerCounts>> {
  const {
    service,
    onIssue,
    open = openPlatformSocket,
    concurrency = 64,
    maxPendingEvents = 2_000,
    maxPendingBytes = 32 * 1024 * 1024,
    clock = systemClock,
  } = options
  if (
    options.resync !== undefined &&
    (options.verify === false || options.verify.policy !== 'consumer')
  ) {
    throw new TypeError('resync needs a verifier with policy consumer')
  }
  // Ends the connection as soon as anything fails, also while it is waiting for the next frame.
  const failed = new AbortController()
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal])
  const { cursor, cursors } = await startCursor(service, options.cursor)
  let failure: { readonly error: unknown } | undefined
  const consumer = new Consumer({
    source: service,
    cursor,
    cursors,
    verify: options.verify,
    filter: options.filter,
    resync: options.resync,
    onIssue,
    signal,
    clock,
    queue: { concurrency, maxItems: maxPendingEvents, maxBytes: maxPendingBytes },
    cursorIntervalMs: options.cursorIntervalMs ?? 1_000,
    lagMs: options.lagMs ?? 60_000,
    deliver: (delivery) => deliver(delivery, signal),
    onFailure: (error) => {
      failure ??= { error }
      failed.abort(error)
    },
  })
  const frames = followFrames({
    service,
    nsid: SUBSCRIBE_REPOS,
    cursor,
    open,
    clock,
    signal,
    onIssue,
    backoff: options.backoff,
    maxAttempts: options.maxAttempts,
    stallMs: options.stallMs ?? 60_000,
    idleTimeoutMs: options.idleTimeoutMs,
    highWaterBytes: Math.max(65_536, Math.floor(maxPendingBytes / 4)),
  })
  try {
    await consumer.run(frames)
  } catch (error) {
    failure ??= { error }
  }
  if (failure !== undefined && options.signal?.aborted !== true) throw failure.error
  return consumer.counts
}
