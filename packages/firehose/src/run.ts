import { backoffMs } from './backoff.ts'
import { Consumer, type Delivery } from './consume.ts'
import { emptyCounts, type ConsumerCounts } from './consumer-counts.ts'
import { DisconnectedError } from './errors.ts'
import { findCursor, type FoundCursor } from './find-cursor.ts'
import { followFrames } from './follow.ts'
import { openPlatformSocket } from './platform-socket.ts'
import type { StreamEvent } from './stream-event.ts'
import { RecentTimes } from './recent-times.ts'
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
  /**
   * Takes an event whose handler failed for the last time, to keep it for later; then it counts as done, and neither its
   * account nor the cursor waits for it any more. When this fails too, the run does.
   *
   * @defaultValue nobody: the run fails
   */
  readonly deadLetter?: (event: StreamEvent, error: unknown) => Promise<void> | void
}

/**
 * Follows a firehose with a handler, until the signal aborts.
 *
 * Delivery is at-least-once and in order per account. The stored cursor is the highest `seq` below every unfinished
 * event: after a crash events may come again, none is skipped.
 *
 * @returns counts of everything received.
 * @throws the handler's error after `handlerAttempts` failures of one event that no `deadLetter` takes.
 * @throws {FutureCursorError} when the service does not know the cursor yet.
 */
export async function runRepos(options: RunReposOptions): Promise<Readonly<ConsumerCounts>> {
  const { handle, handlerAttempts = DEFAULT_HANDLER_ATTEMPTS, deadLetter, onIssue } = options
  const { clock = systemClock } = options
  return await runStream(options, async ({ event, finish }, signal) => {
    for (let attempt = 1; ; attempt++) {
      try {
        await handle(event, signal)
        finish()
        return
      } catch (error) {
        signal.throwIfAborted()
        const { seq, did, source } = event
        onIssue({ kind: 'handler-failed', source, seq, did, error, attempt })
        if (attempt >= handlerAttempts) {
          if (deadLetter === undefined) throw error
          await deadLetter(event, error)
          finish()
          return
        }
        await clock.sleep(backoffMs(attempt, options.backoff), signal)
      }
    }
  })
}

/** How far before the latest handled events another service is followed, in milliseconds. */
const FAILOVER_REWIND_MS = 120_000

/** Runs a stream into `deliver` until the signal aborts or something fails, over as many services as there are. */
export async function runStream(
  options: StreamOptions,
  deliver: (delivery: Delivery, signal: AbortSignal) => Promise<void>,
): Promise<Readonly<ConsumerCounts>> {
  const { service, onIssue, failoverAttempts = 3, maxAttempts = Infinity } = options
  if (typeof service === 'string') return await runService({ ...options, service }, deliver)
  if (service.length === 0) throw new TypeError('service must name at least one')
  const total = emptyCounts()
  const times = new RecentTimes()
  let failures = 0
  for (let turn = 0; ; turn++) {
    const current = service[turn % service.length] ?? ''
    let progressed = false
    let missing: { readonly error: unknown } | undefined
    const found = await cursorAfter(options, current, turn > 0 ? times.median : undefined)
    if (found?.gap === true)
      onIssue({ kind: 'gap', source: current, message: 'the service does not reach back' })
    const run = runService(
      {
        ...options,
        service: current,
        maxAttempts: failoverAttempts,
        ...(found === undefined ? {} : { startAfter: found.cursor }),
      },
      async (delivery, signal) => {
        progressed = true
        times.push(Date.parse(delivery.event.time))
        await deliver(delivery, signal)
      },
      total,
    )
    try {
      return await run
    } catch (error) {
      if (!(error instanceof DisconnectedError)) throw error
      missing = { error }
    }
    failures = progressed ? 1 : failures + 1
    if (failures * failoverAttempts >= maxAttempts) throw missing.error
  }
}

/** Where to follow a service from that was not followed before: by time, as its numbers are its own. */
async function cursorAfter(
  { cursor, open = openPlatformSocket, signal }: StreamOptions,
  service: string,
  reachedMs: number | undefined,
): Promise<FoundCursor | undefined> {
  if (reachedMs === undefined) return undefined
  if (typeof cursor === 'object' && (await cursor.get(service)) !== undefined) return undefined
  return await findCursor({
    service,
    timeMs: reachedMs - FAILOVER_REWIND_MS,
    open,
    signal: signal ?? new AbortController().signal,
  })
}

interface ServiceOptions extends StreamOptions {
  readonly service: string
  /** Follow from here rather than from the cursor. */
  readonly startAfter?: number
}

async function runService(
  options: ServiceOptions,
  deliver: (delivery: Delivery, signal: AbortSignal) => Promise<void>,
  counts: ConsumerCounts = emptyCounts(),
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
  const { cursor: stored, cursors } = await startCursor(service, options.cursor)
  const cursor = options.startAfter ?? stored
  let failure: { readonly error: unknown } | undefined
  const consumer = new Consumer({
    source: service,
    counts,
    cursor,
    cursors,
    verify: options.verify,
    filter: options.filter,
    resync: options.resync,
    onIssue,
    observe: options.observe,
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
