import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { encodeErrorFrame } from '@skywright/xrpc/frame'
import { WebSocketServer, type WebSocket } from 'ws'
import { closeClient, DEFAULT_CLOSE_MS } from './close-client.ts'
import type { EventLog, LogEntry } from './event-log/port.ts'
import { DEFAULT_PING_MS, keepAlive } from './keep-alive.ts'
import { DEFAULT_MAX_LAG_EVENTS, openEventCursor, type EventCursor } from './serve.ts'
import { refuseUpgrade } from './refuse-upgrade.ts'
import { encodeWebSocketFrame, encodeWebSocketFrames } from './ws-frame.ts'

/** What clients may say: nothing, beyond control frames. */
const MAX_CLIENT_MESSAGE_BYTES = 4_096
const DEFAULT_MAX_BUFFERED_BYTES: number = 1024 * 1024
/** Pages of at most so many bytes are copied into one array, which costs less than handing over each event. */
const MAX_JOINED_BYTES = 256 * 1024
const DEFAULT_STALL_MS = 30_000
const CLOSE_GOING_AWAY = 1001
const CLOSE_POLICY = 1008

export interface EventSocketsOptions {
  /** Written and not yet taken by the network above which a subscriber is not sent more. @defaultValue 1 MiB */
  readonly maxBufferedBytes?: number
  /** A subscriber that takes nothing for this long is cut off, in milliseconds. @defaultValue 30 000 */
  readonly stallMs?: number
  /** Time between pings; a client silent for two of them is dropped, in milliseconds. @defaultValue 30 000 */
  readonly pingMs?: number
  /** A client that does not answer for this long that it was closed is dropped, in milliseconds. @defaultValue 5 000 */
  readonly closeMs?: number
  /** See `serveEvents`. @defaultValue 100 000 */
  readonly maxLagEvents?: number
  /**
   * How long a subscriber whose cursor lies ahead of the log is kept waiting, before it is told so, in milliseconds: for
   * copies of a log, which trail behind it a little. @defaultValue 0
   */
  readonly futureGraceMs?: number
}

/** Subscribers of one log over WebSockets. Disposing it tells all of them that the server goes away. */
export interface EventSockets extends AsyncDisposable {
  /** Takes an upgrade request whose path was already found to be ours. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void
  /** Subscribers connected now. */
  readonly size: number
}

/**
 * Serves a log to many subscribers at the least cost for each: a subscriber is a position in the log, every event is
 * made into WebSocket bytes once and the same bytes are written to all sockets, a page of events in one system call.
 *
 * Cursor rules are those of `serveEvents`. A bad cursor is refused with 400 before the upgrade.
 */
export function createEventSockets(log: EventLog, options: EventSocketsOptions = {}): EventSockets {
  return new Sockets(log, options)
}

class Sockets implements EventSockets {
  private readonly log: EventLog
  private readonly options: Required<EventSocketsOptions>
  private readonly server: WebSocketServer
  private readonly stopping = new AbortController()
  private readonly running = new Set<Promise<void>>()
  /** The small page that was written last; erased events make another one of it, of fewer entries. */
  private page:
    | {
        readonly first: LogEntry
        readonly last: LogEntry
        readonly count: number
        readonly bytes: Uint8Array
      }
    | undefined
  /** The wire bytes of entries of large pages, as long as the log keeps the entry in memory. */
  private readonly wire = new WeakMap<LogEntry, Uint8Array>()

  constructor(log: EventLog, options: EventSocketsOptions) {
    this.log = log
    this.options = {
      maxBufferedBytes: options.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES,
      stallMs: options.stallMs ?? DEFAULT_STALL_MS,
      pingMs: options.pingMs ?? DEFAULT_PING_MS,
      closeMs: options.closeMs ?? DEFAULT_CLOSE_MS,
      maxLagEvents: options.maxLagEvents ?? DEFAULT_MAX_LAG_EVENTS,
      futureGraceMs: options.futureGraceMs ?? 0,
    }
    this.server = new WebSocketServer({
      noServer: true,
      maxPayload: MAX_CLIENT_MESSAGE_BYTES,
      perMessageDeflate: false,
    })
  }

  get size(): number {
    return this.running.size
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    const cursor = readCursor(request.url ?? '/')
    if (cursor === 'invalid') {
      refuseUpgrade(socket, '400 Bad Request')
      return
    }
    const { maxLagEvents, futureGraceMs } = this.options
    if (cursor !== undefined && futureGraceMs > 0 && cursor > this.log.bounds().last) {
      void this.reached(cursor, futureGraceMs).then(() => {
        this.accept(request, socket, head, { cursor, maxLagEvents })
      })
      return
    }
    this.accept(request, socket, head, { cursor, maxLagEvents })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping.abort()
    await Promise.all(this.running)
    this.server.close()
  }

  private accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    at: { readonly cursor: number | undefined; readonly maxLagEvents: number },
  ): void {
    if (this.stopping.signal.aborted) {
      refuseUpgrade(socket, '503 Service Unavailable')
      return
    }
    // Taken before the handshake ends: what happens from here on is not missed.
    const position = openEventCursor(this.log, at)
    const body = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
    this.server.handleUpgrade(request, socket, body, (client) => {
      const pump = this.pump(client, socket, position).finally(() => this.running.delete(pump))
      this.running.add(pump)
    })
  }

  /** Resolves when the log has the event, or the patience is over. */
  private async reached(cursor: number, patienceMs: number): Promise<void> {
    const patience = AbortSignal.any([AbortSignal.timeout(patienceMs), this.stopping.signal])
    await this.log.changed(cursor - 1, patience).catch(() => undefined)
  }

  private async pump(client: WebSocket, socket: Duplex, position: EventCursor): Promise<void> {
    const closed = new AbortController()
    const signal = AbortSignal.any([closed.signal, this.stopping.signal])
    client.on('error', () => {
      client.terminate()
    })
    client.once('close', () => {
      closed.abort()
    })
    const stopPings = keepAlive(client, this.options.pingMs)
    try {
      for (;;) {
        const step = await position.next(signal)
        if (step.kind === 'end') break
        if (step.kind === 'frames') {
          for (const frame of step.frames) client.send(frame)
          if (step.last) break
          continue
        }
        this.write(socket, step.entries)
        if (socket.writableLength > this.options.maxBufferedBytes) {
          if (!(await this.drained(socket, signal))) {
            client.send(encodeErrorFrame('ConsumerTooSlow', 'events are not read fast enough'))
            client.close(CLOSE_POLICY, 'ConsumerTooSlow')
            // It does not read: nobody will answer the close either.
            client.terminate()
            return
          }
        }
      }
      const { closeMs } = this.options
      closeClient(client, this.stopping.signal.aborted ? CLOSE_GOING_AWAY : CLOSE_POLICY, {
        closeMs,
      })
    } catch {
      client.terminate()
    } finally {
      stopPings()
    }
  }

  /** One page of events in one system call, beside whatever control frames the socket sends itself. */
  private write(socket: Duplex, entries: readonly LogEntry[]): void {
    const joined = this.join(entries)
    if (joined !== undefined) {
      socket.write(joined)
      return
    }
    socket.cork()
    for (const entry of entries) {
      let bytes = this.wire.get(entry)
      if (bytes === undefined) {
        bytes = encodeWebSocketFrame(entry.frame)
        this.wire.set(entry, bytes)
      }
      socket.write(bytes)
    }
    socket.uncork()
  }

  /** A small page as one array: what subscribers at the tip get one after the other. `undefined` for a large one. */
  private join(entries: readonly LogEntry[]): Uint8Array | undefined {
    const [first] = entries
    const last = entries.at(-1)
    if (first === undefined || last === undefined) return undefined
    const count = entries.length
    const { page } = this
    if (page?.first === first && page.last === last && page.count === count) return page.bytes
    const bytes = encodeWebSocketFrames(entries, MAX_JOINED_BYTES)
    if (bytes !== undefined) this.page = { first, last, count, bytes }
    return bytes
  }

  /** Waits until the network took what was written; `false` when it took nothing for too long. */
  private drained(socket: Duplex, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      let left = socket.writableLength
      const finish = (drained: boolean): void => {
        clearInterval(timer)
        socket.off('drain', onDrain)
        signal.removeEventListener('abort', onAbort)
        resolve(drained)
      }
      const onDrain = (): void => {
        finish(true)
      }
      const onAbort = (): void => {
        finish(true)
      }
      const timer = setInterval(() => {
        if (socket.writableLength >= left) finish(false)
        left = socket.writableLength
      }, this.options.stallMs)
      socket.on('drain', onDrain)
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) finish(true)
    })
  }
}

/** The `cursor` parameter of a subscription URL. */
function readCursor(url: string): number | undefined | 'invalid' {
  if (!URL.canParse(url, 'http://localhost')) return 'invalid'
  const text = new URL(url, 'http://localhost').searchParams.get('cursor')
  if (text === null) return undefined
  const cursor = Number(text)
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(cursor) ? cursor : 'invalid'
}
