import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { createPlcStreamSockets } from './plc-stream-sockets.ts'
import type { UpgradeServer } from './plc-stream-sockets.ts'
import { requestBody } from './request-body.ts'
import type { PlcDirectory } from '../plc-directory/directory.ts'

/** Options of {@link servePlcDirectory}. */
export interface PlcServerOptions {
  readonly directory: PlcDirectory
  /**
   * 0 takes a free one.
   * @defaultValue 0
   */
  readonly port?: number
  /** @defaultValue `127.0.0.1` */
  readonly host?: string
  /**
   * Serves `/export/stream`: `new WebSocketServer({ noServer: true, maxPayload: 4096 })` of the `ws` package. Without
   * it that path answers 426.
   */
  readonly webSocketServer?: UpgradeServer
  /**
   * A reader of the stream that takes nothing for this long is cut off (`ConsumerTooSlow`), in milliseconds.
   * @defaultValue 30000
   */
  readonly streamStallMs?: number
}

/** A directory that listens; dispose to stop it. */
export interface PlcServer extends AsyncDisposable {
  /** Where it listens, without a slash at the end. */
  readonly url: string
}

/** What requests under way get to end when the server stops. */
const CLOSE_GRACE_MS = 1000

/**
 * Serves a PLC directory over plain HTTP, and `/export/stream` over WebSockets when it is
 * given what makes them.
 * For TLS put it behind a proxy, or mount `directory.fetch` in your server.
 */
export async function servePlcDirectory(options: PlcServerOptions): Promise<PlcServer> {
  const { directory, port = 0, host = '127.0.0.1', webSocketServer, streamStallMs } = options
  const server = createServer((message, response) => {
    answer(directory, message, response).catch(() => response.destroy())
  })
  const sockets =
    webSocketServer === undefined
      ? undefined
      : createPlcStreamSockets(directory, webSocketServer, streamStallMs)
  if (sockets !== undefined) {
    server.on('upgrade', (request, socket, head) => {
      sockets.upgrade(request, socket, head)
    })
  }
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address()
  const boundPort = typeof address === 'object' && address !== null ? address.port : port
  const name = host.includes(':') ? `[${host}]` : host
  return {
    url: `http://${name}:${boundPort}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      await sockets?.[Symbol.asyncDispose]()
      const grace = setTimeout(() => {
        server.closeAllConnections()
      }, CLOSE_GRACE_MS)
      await closed
      clearTimeout(grace)
    },
  }
}

async function answer(
  directory: PlcDirectory,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url = '/' } = message
  // Only the path counts; what the client calls this host is its own affair.
  const target = URL.parse(url, 'http://localhost')
  if (target === null || method === 'TRACE') {
    message.resume()
    response.writeHead(target === null ? 400 : 405).end()
    return
  }
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const request = new Request(target, {
    method,
    ...(hasBody ? { body: requestBody(message), duplex: 'half' } : {}),
  })
  const { status, headers: answered, body } = await directory.fetch(request)
  if (!request.bodyUsed) await request.body?.cancel()
  response.writeHead(status, Object.fromEntries(answered))
  if (body === null || method === 'HEAD') {
    response.end()
    return
  }
  await pipeline(Readable.fromWeb(body as NodeReadableStream), response)
}
