import { join } from 'node:path'
import { ReadableStream } from 'node:stream/web'
import { openSqlitePlcStore } from '@skywright/identity/node'
import { createPlcDirectory } from '@skywright/identity/plc-directory'
import { serveNode } from '@skywright/xrpc/node'

/** A running did:plc directory. */
export interface PlcServer extends AsyncDisposable {
  readonly url: string
}

/** A did:plc directory on a port of loopback, its log in `dataDirectory`. */
export async function startPlcServer(dataDirectory: string, port: number): Promise<PlcServer> {
  const store = openSqlitePlcStore({ database: join(dataDirectory, 'plc.sqlite') })
  // In a sandbox accounts are changed faster than the public directory allows.
  const directory = createPlcDirectory({ store, rateLimits: false })
  const server = await serveNode(
    {
      async handle({ method, url, headers, body, signal }) {
        const init = {
          method,
          headers: { 'content-type': headers.get('content-type') ?? '' },
          signal,
          // Node's class is the global one; only the two declarations differ.
          body: body && (ReadableStream.from(body) as unknown as BodyInit),
          duplex: 'half',
        }
        const response = await directory.fetch(new Request(new URL(url, 'http://localhost'), init))
        return {
          status: response.status,
          headers: Object.fromEntries(response.headers),
          body: response.body ?? undefined,
        }
      },
    },
    { port },
  )
  return {
    url: server.url,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      store[Symbol.dispose]()
    },
  }
}
