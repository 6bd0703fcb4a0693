import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { PlcRequestFailedError } from '../errors.ts'
import type { PlcDirectory } from '../plc-directory/directory.ts'

/** Sent and not yet taken by the network beyond which a reader is waited for. */
const MAX_BUFFERED_BYTES = 1_048_576
/** A reader that takes nothing for this long is cut off. */
const DEFAULT_STALL_MS = 30_000
const PING_INTERVAL_MS = 30_000
/** Unanswered pings after which a reader is gone. */
const MAX_MISSED_PINGS = 2
/** What a reader gets to answer the end of the connection. */
const CLOSE_GRACE_MS = 1000
const CLOSE_NORMAL = 1000
const CLOSE_GOING_AWAY = 1001
const CLOSE_INTERNAL_ERROR = 1011

/** The part of the `ws` package's `WebSocketServer` that is used. Make it with `{ noServer: true, maxPayload: 4096 }`. */
export interface UpgradeServer {
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    done: (client: UpgradedSocket) => void,
  ): void
}

/** The part of the `ws` package's `WebSocket` that is used. */
export interface UpgradedSocket {
  readonly bufferedAmount: number
  send(text: string, done: () => void): void
  ping(): void
  close(code: number, reason?: string): void
  terminate(): void
  on(event: 'close' | 'error' | 'pong', listener: () => void): unknown
}

/** Readers of one directory's `/export/stream`. Disposing tells them that the server goes away. */
export interface PlcStreamSockets extends AsyncDisposable {
  /** Answers any upgrade request. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void
}

/** Serves the stream to sockets that `server` takes over. */
export function createPlcStreamSockets(
  directory: PlcDirectory,
  server: UpgradeServer,
  stallMs: number = DEFAULT_STALL_MS,
): PlcStreamSockets {
  const stopping = new AbortController()
  const running = new Set<Promise<void>>()

  return {
    upgrade(request, socket, head) {
      socket.on('error', () => socket.destroy())
      const [path, query] = (request.url ?? '').split('?', 2)
      const cursor = readCursor(new URLSearchParams(query).get('cursor'))
      if (path !== '/export/stream') refuse(socket, '404 Not Found')
      else if (cursor === 'invalid') refuse(socket, '400 Bad Request')
      else if (stopping.signal.aborted) refuse(socket, '503 Service Unavailable')
      else {
        const body = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
        server.handleUpgrade(request, socket, body, (client) => {
          const pump = serve(directory, client, { cursor, stallMs, stop: stopping.signal })
          running.add(pump)
          void pump.finally(() => running.delete(pump))
        })
      }
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}

interface ServeOptions {
  readonly cursor: number | undefined
  readonly stallMs: number
  readonly stop: AbortSignal
}

/** Sends one reader its entries until either side ends it. Never rejects. */
async function serve(
  directory: PlcDirectory,
  client: UpgradedSocket,
  { cursor, stallMs, stop }: ServeOptions,
): Promise<void> {
  const gone = new AbortController()
  const closed = new Promise<void>((resolve) => {
    client.on('close', () => {
      gone.abort()
      resolve()
    })
  })
  client.on('error', () => {
    client.terminate()
  })
  const stopPings = keepAlive(client)
  try {
    const signal = AbortSignal.any([gone.signal, stop])
    for await (const line of directory.exportStream({ cursor, signal })) {
      if (!(await send(client, line, stallMs)))
        throw new PlcRequestFailedError(400, 'ConsumerTooSlow')
    }
    client.close(CLOSE_GOING_AWAY)
  } catch (error) {
    if (error instanceof PlcRequestFailedError) client.close(CLOSE_NORMAL, error.reason)
    else client.close(CLOSE_INTERNAL_ERROR)
  }
  const grace = setTimeout(() => {
    client.terminate()
  }, CLOSE_GRACE_MS)
  await closed
  clearTimeout(grace)
  stopPings()
}

/** Sends a message, and waits for a reader that has much to read yet; `false` when it takes nothing for too long. */
async function send(client: UpgradedSocket, line: string, stallMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  // Called when the network took the message, or when the connection is over.
  client.send(line, () => {
    resolve(true)
  })
  if (client.bufferedAmount <= MAX_BUFFERED_BYTES) return true
  const timer = setTimeout(() => {
    resolve(false)
  }, stallMs)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
  }
}

function keepAlive(client: UpgradedSocket): () => void {
  let missed = 0
  client.on('pong', () => {
    missed = 0
  })
  const timer = setInterval(() => {
    if (missed++ >= MAX_MISSED_PINGS) client.terminate()
    else client.ping()
  }, PING_INTERVAL_MS)
  return () => {
    clearInterval(timer)
  }
}

function readCursor(text: string | null): number | undefined | 'invalid' {
  if (text === null) return undefined
  return /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : 'invalid'
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
