import { backoffMs, type BackoffOptions } from '../backoff.ts'
import type { CursorStore } from '../cursor-store.ts'
import { DisconnectedError, FirehoseError } from '../errors.ts'
import type { EventFilter } from '../filter.ts'
import { MAX_JSON_MESSAGE_BYTES } from '../limits.ts'
import { openPlatformSocket } from '../platform-socket.ts'
import type { FetchLike } from '../resync/request.ts'
import type { OpenStream } from '../socket.ts'
import type { FirehoseIssue, StreamEvent } from '../stream-event.ts'
import { startCursor } from '../stream-options.ts'
import { systemClock, type Clock } from '../timer.ts'
import { asError } from '../verify/reasons.ts'
import { dictionaryId, fetchDictionary, isZstdFrame, type DecompressZstd } from './dictionary.ts'
import type { ReadMessage } from '../message-parts.ts'
import { readMessageV1 } from './message-v1.ts'
import { readMessageV2, type JetstreamInfo } from './message-v2.ts'
import { SeqPosition, TimePosition } from './position.ts'

const HIGH_WATER_BYTES = 4_194_304

export interface SubscribeJetstreamOptions {
  /** Base URL of a Jetstream, such as `wss://jetstream1.us-east.bsky.network`. */
  readonly service: string
  /** Which of its streams: `/subscribe`, or `network.bsky.jetstream.subscribeEvents`. @defaultValue 1 */
  readonly version?: 1 | 2 | undefined
  /**
   * Where to start; a store is also kept up to date. Absent: live. In v1 a time in microseconds since 1970; in v2 the
   * `seq` of the last event handled, or such a time.
   */
  readonly cursor?: number | CursorStore | undefined
  readonly filter?: EventFilter | undefined
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly signal?: AbortSignal | undefined
  /** @defaultValue the platform's `WebSocket` */
  readonly open?: OpenStream | undefined
  /**
   * Asks for compressed messages. v2 gives its dictionary itself; that of v1 has to be handed in (it lies in the
   * repository of Jetstream). `decompressZstd` of `@skywright/firehose/zstd` is one for Node.
   */
  readonly zstd?: JetstreamZstd | undefined
  /** Fetches the dictionary of v2. @defaultValue the platform's `fetch` */
  readonly fetch?: FetchLike | undefined
  readonly backoff?: BackoffOptions | undefined
  /** How often the cursor is stored, in milliseconds. @defaultValue 1000 */
  readonly cursorIntervalMs?: number | undefined
  readonly clock?: Clock | undefined
}

/** How compressed messages are read. */
export interface JetstreamZstd {
  readonly decompress: DecompressZstd
  readonly dictionary?: Uint8Array | undefined
}

/**
 * Follows a Jetstream with the events of {@link subscribeRepos}: `verified` is false, a commit has one operation and no
 * `commit`, `data` or `since`. Records are encoded as DAG-CBOR and must hash to the CID the server names; one that does
 * not is reported as `record-mismatch` and left out. An event counts as handled when the loop asks for the next one.
 *
 * - v1: `seq` is `time_us`. After a lost connection the stream is rewound by some seconds; repeats are recognised. A
 *   server that has forgotten the cursor's time goes on silently with what it has: that is how Jetstream v1 is.
 * - v2: `seq` is Jetstream's own number. A cursor older than the server is reported as `outdated-cursor`, and what is
 *   there follows; where the socket hides why it was refused, as the platform's does, only as `reconnect`. `#sync` means
 *   that everything known of the repository is out of date; its records follow as commits.
 *
 * @throws {TypeError} for compressed v1 without a dictionary.
 * @see {@link https://github.com/bluesky-social/jetstream}
 */
export async function* subscribeJetstream(
  options: SubscribeJetstreamOptions,
): AsyncGenerator<StreamEvent, void, void> {
  const { service, version = 1, onIssue, open = openPlatformSocket, clock = systemClock } = options
  const { cursorIntervalMs = 1_000, zstd } = options
  if (version === 1 && zstd !== undefined && zstd.dictionary === undefined)
    throw new TypeError('compressed Jetstream v1 needs its dictionary')
  const { cursor, cursors } = await startCursor(service, options.cursor)
  const left = new AbortController()
  const signal =
    options.signal === undefined ? left.signal : AbortSignal.any([options.signal, left.signal])
  const position = version === 1 ? new TimePosition(cursor) : new SeqPosition(cursor)
  const dictionaries = new Dictionaries(options, signal)
  let reached: number | undefined
  let stored = cursor
  let storedAt = clock.now()
  const store = async (): Promise<void> => {
    if (reached === undefined || reached === stored) return
    stored = reached
    storedAt = clock.now()
    await cursors?.set(service, reached)
  }
  let attempt = 0
  try {
    for (;;) {
      let failure: FirehoseError
      try {
        const dictionary = await dictionaries.current()
        const messages = open(subscribeUrl(options, position.from(), dictionary), {
          signal,
          maxFrameBytes: MAX_JSON_MESSAGE_BYTES,
          highWaterBytes: HIGH_WATER_BYTES,
          text: true,
        })
        for await (const message of messages) {
          attempt = 0
          const event = read(message, dictionary, options)
          if (event === undefined || !position.isNew(event)) continue
          yield event
          reached = position.passed(event)
          if (clock.now() - storedAt >= cursorIntervalMs) await store()
        }
        failure = new DisconnectedError('stream ended')
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof FirehoseError)) throw error
        failure = error
      }
      const refusal = failure instanceof DisconnectedError ? failure.error : undefined
      if (refusal === 'CursorTooOld' && position instanceof SeqPosition) {
        onIssue({ kind: 'outdated-cursor', source: service, cursor: position.from() })
        position.goByTime()
      }
      if (refusal === 'UnknownZstdDictionary') dictionaries.forget()
      attempt++
      const delayMs = backoffMs(attempt, options.backoff)
      onIssue({ kind: 'reconnect', source: service, attempt, delayMs, error: failure })
      await store()
      try {
        await clock.sleep(delayMs, signal)
      } catch {
        return
      }
    }
  } finally {
    left.abort()
    await store()
  }
}

/** The dictionary messages are compressed with: handed in, or the server's own. */
class Dictionaries {
  private readonly options: SubscribeJetstreamOptions
  private readonly signal: AbortSignal
  private known: Uint8Array | undefined

  constructor(options: SubscribeJetstreamOptions, signal: AbortSignal) {
    this.options = options
    this.signal = signal
    this.known = options.zstd?.dictionary
  }

  async current(): Promise<Uint8Array | undefined> {
    const { zstd, service, fetch = (url, init) => globalThis.fetch(url, init) } = this.options
    if (zstd === undefined) return undefined
    this.known ??= await fetchDictionary(service, fetch, this.signal)
    return this.known
  }

  /** The server does not know it any more. */
  forget(): void {
    this.known = undefined
  }
}

function subscribeUrl(
  { service, version = 1, filter }: SubscribeJetstreamOptions,
  cursor: number | undefined,
  dictionary: Uint8Array | undefined,
): string {
  const path = version === 1 ? '/subscribe' : '/xrpc/network.bsky.jetstream.subscribeEvents'
  const url = new URL(path, service)
  if (url.protocol === 'https:') url.protocol = 'wss:'
  if (url.protocol === 'http:') url.protocol = 'ws:'
  const { searchParams } = url
  const collections = version === 1 ? 'wantedCollections' : 'collections'
  const dids = version === 1 ? 'wantedDids' : 'dids'
  for (const one of filter?.collections ?? []) searchParams.append(collections, one)
  for (const one of filter?.dids ?? []) searchParams.append(dids, one)
  if (cursor !== undefined) searchParams.set('cursor', String(cursor))
  if (dictionary !== undefined && version === 1) searchParams.set('compress', 'true')
  if (dictionary !== undefined && version === 2)
    searchParams.set('zstdDictionary', String(dictionaryId(dictionary)))
  return url.href
}

/** The event of a message. What is none is told to `onIssue`. */
function read(
  message: Uint8Array,
  dictionary: Uint8Array | undefined,
  { service, version = 1, zstd, onIssue }: SubscribeJetstreamOptions,
): StreamEvent | undefined {
  let result: ReadMessage<StreamEvent | JetstreamInfo>
  try {
    const isCompressed = zstd !== undefined && dictionary !== undefined && isZstdFrame(message)
    const json = isCompressed
      ? zstd.decompress(message, dictionary, MAX_JSON_MESSAGE_BYTES)
      : message
    const value: unknown = JSON.parse(new TextDecoder().decode(json))
    result = version === 1 ? readMessageV1(value, service) : readMessageV2(value, service)
  } catch (error) {
    // An error frame ends the connection; anything else that cannot be read is left out.
    if (error instanceof FirehoseError && error.code !== 'InvalidFrame') throw error
    onIssue({ kind: 'invalid-frame', source: service, error: asError(error) })
    return undefined
  }
  if (result.kind === 'unknown') {
    onIssue({ ...result, kind: 'unknown-frame', source: service })
    return undefined
  }
  if (result.kind === 'mismatch') {
    onIssue({ ...result, kind: 'rejected', source: service, reason: 'record-mismatch' })
    return undefined
  }
  const { event } = result
  if (event.type !== 'info') return event
  const { name, message: why } = event
  const told = why === undefined ? {} : { message: why }
  if (name === 'OutdatedCursor')
    onIssue({ kind: 'outdated-cursor', source: service, cursor: undefined, ...told })
  else onIssue({ kind: 'info', source: service, name, ...told })
  return undefined
}
