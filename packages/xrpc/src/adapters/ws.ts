/**
 * WebSocket subscriptions on Node, by the `ws` package: the server side of a router and the client's connection.
 *
 * @packageDocumentation
 */
import { STATUS_CODES } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { InvalidRequestError } from '../errors.ts'
import type { XrpcResponse } from '../request.ts'
import { errorResponse } from '../response.ts'
import type { Router } from '../router.ts'
import { isXrpcPath } from '../call.ts'
import { NodeRequest, pathOf } from './node-request.ts'
import { pump } from './ws-pump.ts'

export { openWebSocket } from './ws-client.ts'

/** Frames of clients are ignored in v0; this bounds what one may make us hold. */
const MAX_CLIENT_FRAME_BYTES = 65_536
const PING_INTERVAL_MS = 30_000
/** 1 MiB: enough to keep a fast connection busy, little enough for ten thousand slow ones. */
const MAX_BUFFERED_BYTES = 1_048_576
const SLOW_CONSUMER_TIMEOUT_MS = 30_000
const CLOSE_TIMEOUT_MS = 2_000
const CLOSE_GOING_AWAY = 1001

/** Options of {@link attachSubscriptions}. */
export interface AttachOptions {
  /** Address of the caller. @defaultValue the peer of the socket */
  readonly ip?: (request: IncomingMessage) => string | undefined
  /** Time between pings; a client silent for two of them is dropped. @defaultValue 30,000 */
  readonly pingIntervalMs?: number
  /**
   * Bytes written and not yet taken by the network above which a connection is not sent more.
   * @defaultValue 1,048,576
   */
  readonly maxBufferedBytes?: number
  /**
   * How long a connection may stay above `maxBufferedBytes` before it gets `ConsumerTooSlow` and is closed.
   * @defaultValue 30,000
   */
  readonly slowConsumerTimeoutMs?: number
  /**
   * Gets upgrade requests for other paths. Without it they are refused with 404, as Node's own listeners would
   * leave the socket hanging.
   */
  readonly otherwise?: (request: IncomingMessage, socket: Duplex, head: Uint8Array) => void
}

/** Running subscriptions of a server. Disposing it tells every client that the server goes away. */
export interface AttachedSubscriptions extends AsyncDisposable {
  /** Connections open right now. */
  readonly size: number
}

/** Serves a router's subscriptions on a Node server's `upgrade` events. */
export function attachSubscriptions(
  server: Server,
  router: Pick<Router<unknown>, 'subscribe'>,
  options: AttachOptions = {},
): AttachedSubscriptions {
  const {
    ip = (request) => request.socket.remoteAddress,
    pingIntervalMs = PING_INTERVAL_MS,
    maxBufferedBytes = MAX_BUFFERED_BYTES,
    slowConsumerTimeoutMs = SLOW_CONSUMER_TIMEOUT_MS,
    otherwise,
  } = options
  const limits = { maxBufferedBytes, slowConsumerTimeoutMs }
  const agreed = new WeakMap<IncomingMessage, string>()
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_CLIENT_FRAME_BYTES,
    perMessageDeflate: false,
    // Left alone, ws would agree to the client's first offer, whatever it is.
    handleProtocols: (_offers, request) => agreed.get(request) ?? false,
  })
  sockets.on('wsClientError', (error, socket) => {
    refuse(socket, errorResponse(new InvalidRequestError(error.message)))
  })
  const running = new Set<Promise<void>>()
  const stopping = new AbortController()

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const url = pathOf(request.url)
    if (!isXrpcPath(url) && otherwise !== undefined) {
      otherwise(request, socket, head)
      return
    }
    socket.on('error', () => socket.destroy())
    const gone = new AbortController()
    socket.once('close', () => gone.abort())
    const closed = (listener: () => void): void => {
      AbortSignal.any([gone.signal, stopping.signal]).addEventListener('abort', listener)
    }
    const call = new NodeRequest(request, closed, url, () => ip(request))
    void router.subscribe(call).then((answer) => {
      if (gone.signal.aborted) return
      if (!('frames' in answer)) {
        refuse(socket, answer)
        return
      }
      if (answer.subprotocol !== undefined) agreed.set(request, answer.subprotocol)
      sockets.handleUpgrade(request, socket, head, (connection) => {
        sockets.emit('connection', connection, request)
        const pumping = pump(connection, answer, limits, stopping.signal)
        running.add(pumping)
        void pumping.finally(() => running.delete(pumping))
      })
    })
  }
  server.on('upgrade', onUpgrade)
  if (otherwise === undefined) declineOtherProtocols(server)
  const heartbeat = startHeartbeat(sockets, pingIntervalMs)

  return {
    get size() {
      return sockets.clients.size
    },
    async [Symbol.asyncDispose]() {
      server.off('upgrade', onUpgrade)
      clearInterval(heartbeat)
      stopping.abort()
      for (const connection of sockets.clients) connection.close(CLOSE_GOING_AWAY)
      const timer = setTimeout(() => {
        for (const connection of sockets.clients) connection.terminate()
      }, CLOSE_TIMEOUT_MS)
      await Promise.allSettled([...running, ...[...sockets.clients].map(closeOf)])
      clearTimeout(timer)
      await new Promise<void>((resolve) => sockets.close(() => resolve()))
    },
  }
}

function startHeartbeat(sockets: WebSocketServer, intervalMs: number): NodeJS.Timeout {
  const alive = new WeakSet<WebSocket>()
  sockets.on('connection', (connection: WebSocket) => alive.add(connection))
  const timer = setInterval(() => {
    for (const connection of sockets.clients) {
      if (!alive.delete(connection)) {
        connection.terminate()
        continue
      }
      connection.once('pong', () => alive.add(connection))
      connection.ping()
    }
  }, intervalMs)
  timer.unref()
  return timer
}

async function closeOf(connection: WebSocket): Promise<void> {
  if (connection.readyState === connection.CLOSED) return
  await new Promise<void>((resolve) => connection.once('close', () => resolve()))
}

/**
 * Some clients offer `h2c` with every request. Where Node lets us, they are served as if they had not, instead of losing
 * their request to the upgrade listener.
 */
function declineOtherProtocols(server: Server & { shouldUpgradeCallback?: unknown }): void {
  if (server.shouldUpgradeCallback === undefined) return
  server.shouldUpgradeCallback = ({ headers }: IncomingMessage): boolean =>
    headers.upgrade?.toLowerCase() === 'websocket' && server.listenerCount('upgrade') > 0
}

function refuse(socket: Duplex, answer: XrpcResponse): void {
  const { status } = answer
  const body = typeof answer.body === 'string' ? answer.body : ''
  const headers = Object.entries({
    ...answer.headers,
    connection: 'close',
    'content-length': String(Buffer.byteLength(body)),
  })
  const lines = headers.map(([name, value]) => `${name}: ${value.replaceAll(/[\r\n]/g, ' ')}\r\n`)
  // Node keeps such sockets half open, for as long as the other side likes.
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`)
}
