import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { DidDocument } from '@skywright/identity'

/** A directory that gives out DID documents, and nothing else. */
export interface FakePlc extends AsyncDisposable {
  readonly url: string
  readonly documents: Map<string, DidDocument>
}

export async function startFakePlc(): Promise<FakePlc> {
  const documents = new Map<string, DidDocument>()
  const server = createServer((request, response) => {
    const document = documents.get(decodeURIComponent((request.url ?? '').slice(1)))
    response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document ?? { message: 'DID not registered' }))
  })
  const port = await listen(server)
  return {
    url: `http://localhost:${String(port)}`,
    documents,
    [Symbol.asyncDispose]: () => close(server),
  }
}

/** Starts listening on this machine only; gives the port. */
export async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, 'localhost', resolve)
  })
  return (server.address() as AddressInfo).port
}

export async function close(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
