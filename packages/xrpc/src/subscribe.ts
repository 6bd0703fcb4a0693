import type { LexiconCatalog } from './catalog.ts'
import {
  InvalidDataError,
  InvalidFrameError,
  StreamClosedError,
  ValidationError,
} from './errors.ts'
import { XrpcError } from './errors.ts'
import { decodeFrame, MAX_FRAME_BYTES } from './frame.ts'
import type { Frame } from './frame.ts'
import type { MessageOf, MethodIds, ParamsOf } from './infer.ts'
import { waitFor } from './retry.ts'
import { decodeJsonFrame, supported } from './subprotocol.ts'
import { openPlatformStream } from './stream-connection.ts'
import type { OpenStream } from './stream-connection.ts'

/** Two minutes without a message: hosts may be that quiet, and pings count where the platform shows them. */
const IDLE_TIMEOUT_MS = 120_000
const BASE_DELAY_MS = 1_000
const MAX_DELAY_MS = 60_000
/** An open connection that lasted this long ends the backoff. */
const STABLE_MS = 60_000
/** Errors that no repetition cures. */
const FATAL_ERRORS: ReadonlySet<string> = new Set(['FutureCursor', 'InvalidRequest'])

/** What a subscription met without ending. */
export type SubscriptionIssue =
  /** A frame with an operation or type that this version does not know; skipped. */
  | { readonly kind: 'unknown-frame'; readonly frame: Frame }
  /** A message that does not match the lexicon; skipped. */
  | { readonly kind: 'invalid-message'; readonly error: Error }
  /** The connection was lost, closed, or dropped because of a malformed frame; it is opened again. */
  | {
      readonly kind: 'reconnect'
      readonly attempt: number
      readonly delayMs: number
      readonly error: Error | undefined
    }

/** Options of {@link subscribe}. */
export interface SubscribeOptions<R, N extends string> {
  /** Origin of the server, `https:` or `wss:`. */
  readonly service: string
  readonly lexicons: LexiconCatalog<R>
  readonly nsid: N
  /** Parameters of the first connection; later ones carry on from the last message. */
  readonly params?: ParamsOf<R, N, 'provide'>
  /**
   * Where to resume after a message; becomes the `cursor` parameter.
   * @defaultValue the message's `seq`
   */
  readonly cursorOf?: (message: MessageOf<R, N>) => number | string | undefined
  /** Told about everything that does not end the iteration. */
  readonly onIssue?: (issue: SubscriptionIssue) => void
  readonly signal?: AbortSignal
  /** Opens connections. @defaultValue the platform's `WebSocket`; on Node, `openWebSocket` of `@skywright/xrpc/ws` bounds memory better */
  readonly open?: OpenStream
  /** @defaultValue 5,000,000 */
  readonly maxMessageBytes?: number
  /** Longest silence; 0 for no limit. @defaultValue 120,000 */
  readonly idleTimeoutMs?: number
  /** Checks messages against the lexicon. @defaultValue true */
  readonly validateMessages?: boolean
  /**
   * Frontier: asks for `xrpc.v1.json` and takes whichever framing the server agrees to. After proposal 0015 in its draft
   * of 2026-06-18, and changing with it.
   * @defaultValue false
   */
  readonly jsonFrames?: boolean
  /** Waits before a reconnect. @defaultValue timers */
  readonly wait?: (ms: number, signal: AbortSignal | undefined) => Promise<void>
  /** From 0 up to 1. @defaultValue `Math.random` */
  readonly random?: () => number
  /** Milliseconds. @defaultValue `performance.now` */
  readonly clock?: () => number
}

/**
 * Messages of a subscription, each with its full `$type`, over as many connections as it takes.
 *
 * A message counts as processed when the next one is asked for; a reconnect resumes behind the last one processed, so
 * delivery is at least once. Unknown frames are skipped and reported; a malformed frame drops the connection.
 *
 * @throws {XrpcError} when the server ends the stream with an error that reconnecting does not cure (`FutureCursor`)
 * @throws {StreamClosedError} when the server refuses the connection for good
 * @see {@link https://atproto.com/specs/event-stream}
 */
export async function* subscribe<R, const N extends MethodIds<R, 'subscription'>>(
  options: SubscribeOptions<R, N>,
): AsyncGenerator<MessageOf<R, N>, void, void> {
  const { signal, onIssue, wait = waitFor, random = Math.random } = options
  const { clock = () => performance.now() } = options
  const stop = new AbortController()
  const combined = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  let cursor: number | string | undefined
  let failures = 0
  try {
    for (;;) {
      signal?.throwIfAborted()
      const opened = clock()
      let error: Error | undefined
      try {
        for await (const message of messages(options, cursor, combined)) {
          yield message
          const cursorOf = options.cursorOf ?? seqOf
          cursor = cursorOf(message) ?? cursor
        }
      } catch (cause) {
        signal?.throwIfAborted()
        if (!isPassing(cause)) throw cause
        error = cause
      }
      failures = clock() - opened > STABLE_MS ? 1 : failures + 1
      const delayMs = random() * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** (failures - 1))
      onIssue?.({ kind: 'reconnect', attempt: failures, delayMs, error })
      await wait(delayMs, signal)
    }
  } finally {
    stop.abort()
  }
}

async function* messages<R, N extends string>(
  options: SubscribeOptions<R, N>,
  cursor: number | string | undefined,
  signal: AbortSignal,
): AsyncGenerator<MessageOf<R, N>, void, void> {
  const { nsid, lexicons, open = openPlatformStream, onIssue, validateMessages = true } = options
  const { maxMessageBytes = MAX_FRAME_BYTES, idleTimeoutMs = IDLE_TIMEOUT_MS } = options
  const method = lexicons.method(nsid)
  if (method === undefined) throw new TypeError(`no such method in the catalog; nsid=${nsid}`)
  const params = {
    ...(options.params as object | undefined),
    ...(cursor === undefined ? {} : { cursor }),
  }
  const url = new URL(options.service)
  url.protocol = url.protocol.replace('http', 'ws')
  url.pathname = `/xrpc/${nsid}`
  url.search = method.encodeParams(params)
  const limits = { signal, maxMessageBytes, idleTimeoutMs }
  const protocols = options.jsonFrames === true ? { protocols: supported(true) } : {}
  for await (const data of open(url.href, { ...limits, ...protocols })) {
    const isJson = typeof data === 'string'
    const bounds = { maxBytes: maxMessageBytes }
    const frame = isJson ? decodeJsonFrame(data, bounds) : decodeFrame(data, bounds)
    if (frame.op === -1) throw new XrpcError(400, frame.error, frame.message)
    // JSON frames carry whole names.
    const $type = frame.op === 1 ? (isJson ? '' : nsid) + frame.type : ''
    if (frame.op !== 1 || (validateMessages && !method.messageTypes.includes($type))) {
      onIssue?.({ kind: 'unknown-frame', frame })
      continue
    }
    const message = { ...frame.body, $type }
    try {
      // The lexicon has just said that this is one of its messages, or the caller chose not to ask it.
      yield (validateMessages ? method.readMessage(message) : message) as MessageOf<R, N>
    } catch (error) {
      if (!(error instanceof ValidationError || error instanceof InvalidDataError)) throw error
      onIssue?.({ kind: 'invalid-message', error })
    }
  }
}

function isPassing(error: unknown): error is Error {
  if (error instanceof InvalidFrameError) return true
  if (error instanceof StreamClosedError) return error.retryable
  return error instanceof XrpcError && !FATAL_ERRORS.has(error.error)
}

function seqOf(message: unknown): number | undefined {
  const { seq } = message as { readonly seq?: unknown }
  return typeof seq === 'number' ? seq : undefined
}
