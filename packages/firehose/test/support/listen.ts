import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

interface Sockets extends AsyncDisposable {
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void
}

/** Serves sockets on a free port of this machine. */
export async function listen(
  sockets: Sockets,
): Promise<AsyncDisposable & { readonly service: string }> {
  const server = createServer()
  server.on('upgrade', (request, socket, head) => {
    sockets.upgrade(request, socket, head)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    service: `ws://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    async [Symbol.asyncDispose]() {
      server.close()
      await sockets[Symbol.asyncDispose]()
    },
  }
}
