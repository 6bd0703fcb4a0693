import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
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
}

/** A directory that listens; dispose to stop it. */
export interface PlcServer extends AsyncDisposable {
  /** Where it listens, without a slash at the end. */
  readonly url: string
}

/** Serves a PLC directory over plain HTTP. For TLS put it behind a proxy, or mount `directory.fetch` in your server. */
export async function servePlcDirectory(options: PlcServerOptions): Promise<PlcServer> {
  const { directory, port = 0, host = '127.0.0.1' } = options
  const server = createServer((message, response) => {
    answer(directory, message, response).catch(() => response.destroy())
  })
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
      await closed
    },
  }
}

async function answer(
  directory: PlcDirectory,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET', url = '/', headers } = message
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const request = new Request(new URL(url, `http://${headers.host ?? 'localhost'}`), {
    method,
    // Node and the Web describe the same stream with two type declarations.
    ...(hasBody
      ? { body: Readable.toWeb(message) as ReadableStream<Uint8Array>, duplex: 'half' }
      : {}),
  })
  const { status, headers: answered, body } = await directory.fetch(request)
  response.writeHead(status, Object.fromEntries(answered))
  if (body === null || method === 'HEAD') {
    response.end()
    return
  }
  await pipeline(Readable.fromWeb(body as NodeReadableStream), response)
}
