import { backoffMs, type BackoffOptions } from './backoff.ts'
import { decodeEvent } from './codec.ts'
import {
  ConsumerTooSlowError,
  DisconnectedError,
  FirehoseError,
  FutureCursorError,
  InvalidFrameError,
} from './errors.ts'
import { MAX_FRAME_BYTES } from './limits.ts'
import { peekFrame, type FramePeek } from './peek.ts'
import type { OpenStream } from './socket.ts'
import type { FirehoseIssue } from './stream-event.ts'
import type { Clock } from './timer.ts'

/** One frame as it came, with what can be seen of it cheaply. */
export interface ReceivedFrame {
  readonly frame: Uint8Array
  readonly peek: FramePeek
  /** Base URL of the service it came from. */
  readonly source: string
}

export interface FollowOptions {
  /** Base URL of the service. */
  readonly service: string
  /** Method to subscribe to. */
  readonly nsid: string
  /** Where to start; absent: live. */
  readonly cursor: number | undefined
  readonly open: OpenStream
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly backoff?: BackoffOptions | undefined
  /** Give up (by throwing) after this many failed attempts in a row. @defaultValue never */
  readonly maxAttempts?: number | undefined
  /** Report a stall after this much silence. */
  readonly stallMs: number
  /** Reconnect after this much silence; `undefined` trusts the socket's own keep-alive. */
  readonly idleTimeoutMs: number | undefined
  readonly highWaterBytes: number
}

/** A connection that lived this long counts as good: the next failure starts from the shortest delay. */
const STABLE_MS = 60_000
/** How often one unreadable frame at the same place is met with a reconnect before it is skipped. */
const MAX_POISON = 2

/**
 * Frames of one service, across any number of connections.
 *
 * After a lost connection it continues behind the last frame received. Numbers only go up: a repeat at the seam is
 * dropped, a step back drops the connection.
 *
 * @throws {FutureCursorError} when the service says the cursor lies ahead of it: nobody should guess here.
 * @throws the last error after `maxAttempts` failures in a row.
 */
export async function* followFrames(
  options: FollowOptions,
): AsyncGenerator<ReceivedFrame, void, void> {
  const { service, clock, signal, onIssue, maxAttempts = Infinity } = options
  let cursor = options.cursor
  let attempt = 0
  let poison = 0
  for (;;) {
    signal.throwIfAborted()
    const openedAt = clock.now()
    let failure: unknown
    try {
      for await (const received of connectOnce(options, cursor)) {
        if (received.peek.seq !== undefined) {
          poison = 0
          if (cursor !== undefined && received.peek.seq <= cursor) continue
          cursor = received.peek.seq
          // News, and nothing less: a service that only repeats itself is met ever more rarely.
          attempt = 0
        }
        yield received
      }
      failure = new DisconnectedError('stream ended')
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof FutureCursorError) throw new FutureCursorError(cursor, { cause: error })
      if (!(error instanceof FirehoseError)) throw error
      failure = error
    }
    if (failure instanceof InvalidFrameError) {
      onIssue({ kind: 'invalid-frame', source: service, error: failure })
      // The same unreadable bytes again and again would hold the stream for ever. Nothing says which number they
      // have, so the one thing left is to step over that number.
      if (++poison > MAX_POISON && cursor !== undefined) {
        onIssue({ kind: 'gap', source: service, from: cursor, message: 'unreadable frame skipped' })
        cursor++
        poison = 0
      }
    }
    if (clock.now() - openedAt >= STABLE_MS) attempt = 0
    attempt++
    if (attempt >= maxAttempts) throw failure
    const delayMs = backoffMs(attempt, options.backoff)
    onIssue({ kind: 'reconnect', source: service, attempt, delayMs, error: failure })
    try {
      await clock.sleep(delayMs, signal)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
  }
}

async function* connectOnce(
  {
    service,
    nsid,
    open,
    clock,
    signal,
    onIssue,
    stallMs,
    idleTimeoutMs,
    highWaterBytes,
  }: FollowOptions,
  cursor: number | undefined,
): AsyncGenerator<ReceivedFrame, void, void> {
  const connection = new AbortController()
  const watch = new SilenceWatch({ clock, service, stallMs, idleTimeoutMs, onIssue, connection })
  // Numbers at the cursor may come once more; numbers below it are another sequence.
  let last = cursor ?? 0
  try {
    const frames = open(streamUrl(service, nsid, cursor), {
      signal: AbortSignal.any([signal, connection.signal]),
      maxFrameBytes: MAX_FRAME_BYTES,
      highWaterBytes,
    })
    for await (const frame of frames) {
      watch.heard()
      const peek = peekFrame(frame)
      if (peek.op === -1) throwErrorFrame(frame)
      if (peek.seq !== undefined) {
        if (peek.seq < last) {
          throw new DisconnectedError(
            `sequence went backwards; last=${String(last)} seq=${String(peek.seq)}`,
            { wentBackwards: true },
          )
        }
        last = peek.seq
      }
      yield { frame, peek, source: service }
      watch.heard()
    }
  } catch (error) {
    // Our own watch ended it: what the socket says about that is not the reason.
    if (watch.timedOut) throw new DisconnectedError('silent for too long', { cause: error })
    throw error
  } finally {
    connection.abort()
  }
}

/** Throws the error an error frame stands for. */
function throwErrorFrame(frame: Uint8Array): never {
  decodeEvent(frame)
  throw new ConsumerTooSlowError('error frame without an error')
}

/** `wss://host/xrpc/<nsid>?cursor=…` for an `http(s)://` or `ws(s)://` base URL. */
export function streamUrl(service: string, nsid: string, cursor: number | undefined): string {
  const url = new URL(`/xrpc/${nsid}`, service)
  if (url.protocol === 'https:') url.protocol = 'wss:'
  if (url.protocol === 'http:') url.protocol = 'ws:'
  if (url.protocol !== 'wss:' && url.protocol !== 'ws:') {
    throw new TypeError(`service must be an http or ws URL; service=${service}`)
  }
  if (cursor !== undefined) url.searchParams.set('cursor', String(cursor))
  return url.href
}

interface WatchOptions {
  readonly clock: Clock
  readonly service: string
  readonly stallMs: number
  readonly idleTimeoutMs: number | undefined
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly connection: AbortController
}

/** Notices that nothing was heard for long: tells once per silence, and ends the connection when asked to. */
class SilenceWatch {
  timedOut = false
  private readonly options: WatchOptions
  private heardAt: number
  private told = false

  constructor(options: WatchOptions) {
    this.options = options
    this.heardAt = options.clock.now()
    void this.run()
  }

  heard(): void {
    this.heardAt = this.options.clock.now()
    this.told = false
  }

  private async run(): Promise<void> {
    const { clock, service, stallMs, idleTimeoutMs = Infinity, onIssue, connection } = this.options
    while (!connection.signal.aborted) {
      const silent = clock.now() - this.heardAt
      try {
        const deadline = this.told ? idleTimeoutMs : Math.min(stallMs, idleTimeoutMs)
        await clock.sleep(Math.max(1, Math.min(deadline - silent, stallMs)), connection.signal)
      } catch {
        return
      }
      const silentMs = clock.now() - this.heardAt
      if (silentMs >= stallMs && !this.told) {
        this.told = true
        onIssue({ kind: 'stall', source: service, silentMs })
      }
      if (silentMs >= idleTimeoutMs) {
        this.timedOut = true
        connection.abort()
      }
    }
  }
}
