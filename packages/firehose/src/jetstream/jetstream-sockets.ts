import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'
import { closeClient, DEFAULT_CLOSE_MS } from '../close-client.ts'
import type { EventLog } from '../event-log/port.ts'
import { DEFAULT_PING_MS, keepAlive } from '../keep-alive.ts'
import { refuseUpgrade } from '../refuse-upgrade.ts'
import { CompressedMessages, type JetstreamCompression } from './compressed-messages.ts'
import {
  createJetstreamMatcher,
  serveJetstream,
  type JetstreamFilter,
  type JetstreamMatcher,
  type JetstreamMemo,
} from './serve-jetstream.ts'

/** Largest `options_update`: as Jetstream allows. */
const MAX_OPTIONS_BYTES = 10_000_000
/** Written and not taken by the network above which a subscriber is not sent more. */
const MAX_BUFFERED_BYTES = 1_048_576
const STALL_MS = 30_000
const CLOSE_GOING_AWAY = 1001
const CLOSE_POLICY = 1008
/** A control frame of WebSocket holds 125 bytes, two of them the code. */
const MAX_CLOSE_REASON_BYTES = 123

export interface JetstreamSocketsOptions {
  /** Time between pings; a client silent for two of them is dropped, in milliseconds. @defaultValue 30 000 */
  readonly pingMs?: number
  /** A client that does not answer for this long that it was closed is dropped, in milliseconds. @defaultValue 5 000 */
  readonly closeMs?: number
  /** Compresses for subscribers that ask for it. @defaultValue they are refused */
  readonly zstd?: JetstreamCompression | undefined
}

/** Subscribers of a Jetstream. Disposing it tells all of them that the server goes away. */
export interface JetstreamSockets extends AsyncDisposable {
  /** Takes an upgrade request of `/subscribe`. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void
  readonly size: number
}

/**
 * Serves a log as Jetstream v1: `wantedCollections`, `wantedDids`, `maxMessageSizeBytes`, `cursor`, `requireHello`,
 * `options_update` messages, and, where a dictionary was handed in, `compress` or its header, `Socket-Encoding: zstd`. A message
 * is compressed once for all who want it so; `maxMessageSizeBytes` is about what it was before.
 */
export function createJetstreamSockets(
  log: EventLog,
  options: JetstreamSocketsOptions = {},
): JetstreamSockets {
  return new Sockets(log, options)
}

class Sockets implements JetstreamSockets {
  private readonly log: EventLog
  private readonly pingMs: number
  private readonly closeMs: number
  private readonly stopping = new AbortController()
  private readonly running = new Set<Promise<void>>()
  private readonly memo: JetstreamMemo = new WeakMap()
  private readonly compressed: CompressedMessages | undefined
  private readonly server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_OPTIONS_BYTES,
    perMessageDeflate: false,
  })

  constructor(
    log: EventLog,
    { pingMs = DEFAULT_PING_MS, closeMs = DEFAULT_CLOSE_MS, zstd }: JetstreamSocketsOptions,
  ) {
    this.log = log
    this.pingMs = pingMs
    this.closeMs = closeMs
    this.compressed = zstd === undefined ? undefined : new CompressedMessages(zstd)
  }

  get size(): number {
    return this.running.size
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    let options: SubscribeOptions
    try {
      options = readOptions(request)
      if (options.compress && this.compressed === undefined)
        throw new TypeError('compress is not supported')
    } catch (error) {
      const text = error instanceof Error ? error.message : 'bad request'
      refuseUpgrade(socket, '400 Bad Request', text)
      return
    }
    const body = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
    this.server.handleUpgrade(request, socket, body, (client) => {
      const pump = this.pump(client, options).finally(() => this.running.delete(pump))
      this.running.add(pump)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping.abort()
    await Promise.all(this.running)
    this.server.close()
  }

  private async pump(client: WebSocket, options: SubscribeOptions): Promise<void> {
    const closed = new AbortController()
    const signal = AbortSignal.any([closed.signal, this.stopping.signal])
    const { closeMs } = this
    let { matcher } = options
    let ready = (): void => undefined
    const hello =
      options.requireHello && !signal.aborted
        ? new Promise<void>((resolve) => {
            ready = resolve
            signal.addEventListener('abort', () => resolve(), { once: true })
          })
        : Promise.resolve()
    client.on('error', () => {
      client.terminate()
    })
    client.once('close', () => {
      closed.abort()
    })
    client.on('message', (data: RawData) => {
      if (client.readyState !== client.OPEN) return
      try {
        matcher = readUpdate(data) ?? matcher
        ready()
      } catch (error) {
        const text = error instanceof Error ? error.message : 'bad options'
        closeClient(client, CLOSE_POLICY, { reason: closeReason(text), closeMs })
      }
    })
    const stopPings = keepAlive(client, this.pingMs)
    try {
      await hello
      const { cursor } = options
      const { memo } = this
      const compressed = options.compress ? this.compressed : undefined
      for await (const message of serveJetstream(this.log, {
        memo,
        cursor,
        signal,
        filter: () => matcher,
      })) {
        client.send(compressed?.bytesOf(message) ?? message)
        if (client.bufferedAmount > MAX_BUFFERED_BYTES && !(await drained(client, signal))) {
          client.terminate()
          return
        }
      }
      closeClient(client, CLOSE_GOING_AWAY, { closeMs })
    } catch {
      client.terminate()
    } finally {
      stopPings()
    }
  }
}

interface SubscribeOptions {
  readonly cursor: number | undefined
  readonly requireHello: boolean
  readonly compress: boolean
  readonly matcher: JetstreamMatcher
}

function readOptions({ url = '/', headers }: IncomingMessage): SubscribeOptions {
  const parameters = new URL(url, 'http://localhost').searchParams
  const cursor = parameters.get('cursor')
  const max = parameters.get('maxMessageSizeBytes')
  if (cursor !== null && !/^\d{1,16}$/.test(cursor))
    throw new TypeError('cursor must be an integer')
  if (max !== null && !/^-?\d{1,10}$/.test(max)) {
    throw new TypeError('maxMessageSizeBytes must be an integer')
  }
  return {
    // 0 means live to Jetstream, as its absence does.
    cursor: cursor === null || Number(cursor) === 0 ? undefined : Number(cursor),
    requireHello: parameters.get('requireHello') === 'true',
    compress:
      parameters.get('compress') === 'true' ||
      String(headers['socket-encoding'] ?? '').includes('zstd'),
    matcher: createJetstreamMatcher({
      wantedCollections: parameters.getAll('wantedCollections'),
      wantedDids: parameters.getAll('wantedDids'),
      maxMessageSizeBytes: Number(max ?? 0),
    }),
  }
}

function readUpdate(data: RawData): JetstreamMatcher | undefined {
  const bytes = Array.isArray(data) ? Buffer.concat(data) : data
  const message: unknown = JSON.parse(new TextDecoder().decode(bytes))
  if (message === null || typeof message !== 'object' || !('type' in message)) return undefined
  if (message.type !== 'options_update' || !('payload' in message)) return undefined
  const { payload } = message
  if (payload === null || typeof payload !== 'object') throw new TypeError('payload is no object')
  const list = (name: string): readonly string[] => {
    const value: unknown = Reflect.get(payload, name) ?? []
    if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) {
      throw new TypeError(`${name} is no list of strings`)
    }
    return value
  }
  const max: unknown = Reflect.get(payload, 'maxMessageSizeBytes') ?? 0
  if (typeof max !== 'number') throw new TypeError('maxMessageSizeBytes is no number')
  const filter: JetstreamFilter = {
    wantedCollections: list('wantedCollections'),
    wantedDids: list('wantedDids'),
    maxMessageSizeBytes: max,
  }
  return createJetstreamMatcher(filter)
}

/** As much of a text as fits into a close frame. */
function closeReason(text: string): string {
  const bytes = new Uint8Array(MAX_CLOSE_REASON_BYTES)
  const { written } = new TextEncoder().encodeInto(text, bytes)
  return new TextDecoder().decode(bytes.subarray(0, written))
}

/** Waits until the network took what was sent; `false` when it takes nothing for too long. */
function drained(client: WebSocket, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    let left = client.bufferedAmount
    let since = Date.now()
    const timer = setInterval(() => {
      const now = client.bufferedAmount
      if (now < left) since = Date.now()
      left = now
      const stalled = Date.now() - since > STALL_MS
      if (now > MAX_BUFFERED_BYTES / 2 && !stalled && !signal.aborted) return
      clearInterval(timer)
      resolve(!stalled)
    }, 20)
  })
}
