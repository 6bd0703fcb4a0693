import { backoffMs, type BackoffOptions } from '../backoff.ts'
import { DisconnectedError, FirehoseError } from '../errors.ts'
import { createEventFilter, type EventFilter } from '../filter.ts'
import { MAX_JSON_MESSAGE_BYTES } from '../limits.ts'
import type { ReadMessage } from '../message-parts.ts'
import { openPlatformSocket } from '../platform-socket.ts'
import type { OpenStream } from '../socket.ts'
import type { FirehoseIssue, StreamEvent } from '../stream-event.ts'
import { systemClock, type Clock } from '../timer.ts'
import { asError } from '../verify/reasons.ts'
import { RecentIds } from './recent-ids.ts'
import { readTapEvents, readTapMessage, type TapMessage } from './tap-message.ts'

/** Little: what waits here for longer than Tap's patience is sent again. */
const HIGH_WATER_BYTES = 1_048_576

export interface SubscribeTapOptions {
  /** Base URL of a Tap, such as `http://localhost:2480`. */
  readonly service: string
  /** Its `TAP_ADMIN_PASSWORD`, if it has one. Needs an `open` that sends headers, as `openWebSocket` does. */
  readonly password?: string | undefined
  /** Applied here, on top of Tap's own. What it leaves out is acknowledged. */
  readonly filter?: EventFilter | undefined
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly signal?: AbortSignal | undefined
  /** @defaultValue the platform's `WebSocket`, which loses the connection of a slow reader; on Node prefer `openWebSocket` */
  readonly open?: OpenStream | undefined
  readonly backoff?: BackoffOptions | undefined
  readonly clock?: Clock | undefined
}

/**
 * Follows a Tap with the events of {@link subscribeRepos}. Tap keeps the place in the stream and fetches repositories: there
 * is no cursor, and what it takes from a fetched repository has `live: false`.
 *
 * - `verified` is false: Tap says that it verified, and nothing of it can be checked here but that a record hashes to its CID.
 *   One that does not is reported as `record-mismatch` and left out.
 * - `seq` is the number of Tap's message, unique and in no order; `time` is when it came, as Tap tells no other. A commit has
 *   one operation and no `commit`, `data` or `since`. What Tap calls an identity event is an identity and an account event.
 * - A message is acknowledged when the loop asks for what comes after its events; one whose loop was left by `break` or an
 *   exception, or whose connection was lost, Tap sends again. Messages that Tap repeats out of impatience, while they wait
 *   or after they were handled, are recognised within a connection.
 * - What cannot be read is reported and acknowledged, if it has a number at all: it would come for ever, and nothing of its
 *   account behind it.
 * - Tap divides its events among all who are connected.
 *
 * @throws {TypeError} when `open` cannot send, or cannot send the password.
 * @see {@link https://github.com/bluesky-social/indigo/blob/main/cmd/tap/README.md}
 */
export async function* subscribeTap(
  options: SubscribeTapOptions,
): AsyncGenerator<StreamEvent, void, void> {
  const { service, onIssue, open = openPlatformSocket, clock = systemClock } = options
  const wanted = createEventFilter(options.filter)
  const left = new AbortController()
  const signal =
    options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal])
  let attempt = 0
  try {
    for (;;) {
      let failure: FirehoseError
      try {
        let send: ((text: string) => void) | undefined
        const handled = new RecentIds()
        const messages = open(channelUrl(service), {
          signal,
          maxFrameBytes: MAX_JSON_MESSAGE_BYTES,
          highWaterBytes: HIGH_WATER_BYTES,
          text: true,
          onSender: (sender) => {
            send = sender
          },
          ...authorization(options.password),
        })
        for await (const bytes of messages) {
          attempt = 0
          if (send === undefined) throw new TypeError('open must give what sends to onSender')
          const message = numbered(bytes, options)
          if (message === undefined) continue
          if (!handled.has(message.id)) {
            for (const event of eventsOf(message, options, clock)) if (wanted(event)) yield event
            handled.add(message.id)
          }
          send(JSON.stringify({ type: 'ack', id: message.id }))
        }
        failure = new DisconnectedError('stream ended')
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof FirehoseError)) throw error
        failure = error
      }
      attempt++
      const delayMs = backoffMs(attempt, options.backoff)
      onIssue({ kind: 'reconnect', source: service, attempt, delayMs, error: failure })
      try {
        await clock.sleep(delayMs, signal)
      } catch {
        return
      }
    }
  } finally {
    left.abort()
  }
}

function channelUrl(service: string): string {
  const url = new URL('/channel', service)
  if (url.protocol === 'https:') url.protocol = 'wss:'
  if (url.protocol === 'http:') url.protocol = 'ws:'
  return url.href
}

function authorization(password: string | undefined): {
  readonly headers?: Readonly<Record<string, string>>
} {
  if (password === undefined) return {}
  const bytes = new TextEncoder().encode(`admin:${password}`)
  return { headers: { authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` } }
}

/** A message by its number; `undefined`, and reported, when it has none. */
function numbered(
  bytes: Uint8Array,
  { service, onIssue }: SubscribeTapOptions,
): TapMessage | undefined {
  try {
    return readTapMessage(JSON.parse(new TextDecoder().decode(bytes)))
  } catch (error) {
    onIssue({ kind: 'invalid-frame', source: service, error: asError(error) })
    return undefined
  }
}

/** The events of a message; what is none is reported. */
function eventsOf(
  message: TapMessage,
  { service: source, onIssue }: SubscribeTapOptions,
  clock: Clock,
): readonly StreamEvent[] {
  let result: ReadMessage<readonly StreamEvent[]>
  try {
    const time = new Date(clock.now()).toISOString()
    result = readTapEvents(message, { source, time })
  } catch (error) {
    onIssue({ kind: 'invalid-frame', source, seq: message.id, error: asError(error) })
    return []
  }
  if (result.kind === 'event') return result.event
  if (result.kind === 'unknown') onIssue({ ...result, kind: 'unknown-frame', source })
  else onIssue({ ...result, kind: 'rejected', source, reason: 'record-mismatch' })
  return []
}
