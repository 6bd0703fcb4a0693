import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createMemoryEventLog } from '@skywright/firehose'
import { encodeLabels, signLabel, type Label } from '@skywright/firehose/labels'
import { createEventSockets } from '@skywright/firehose/ws'
import { generatePrivateKey } from '@skywright/identity/keys'
import type { MemoryResolver } from '@skywright/identity/testing'

/** A labeler on loopback: a stream of labels that its key signs, and a document that says where. */
export interface Labeler extends AsyncDisposable {
  readonly did: string
  /** Says something about a record or an account, and answers how many statements there were by then. */
  say(uri: string, val: string, more?: Partial<Label>): Promise<number>
}

export async function startLabeler(did: string, resolver: MemoryResolver): Promise<Labeler> {
  const log = createMemoryEventLog()
  const key = generatePrivateKey('k256')
  const sockets = createEventSockets(log)
  const server = createServer((_request, response) => response.writeHead(404).end())
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.startsWith('/xrpc/com.atproto.label.subscribeLabels') === true)
      sockets.upgrade(request, socket, head)
    else socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  resolver.set({
    id: did,
    verificationMethod: [
      {
        id: `${did}#atproto_label`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: key.publicKey.multibase,
      },
    ],
    service: [
      {
        id: '#atproto_labeler',
        type: 'AtprotoLabeler',
        serviceEndpoint: `http://localhost:${port}`,
      },
    ],
  })
  let said = 0
  return {
    did,
    async say(uri, val, more = {}) {
      // Each is a second newer than the one before.
      const cts = new Date(Date.UTC(2026, 10, 1) + said * 1_000).toISOString()
      const label = await signLabel({ ver: 1, src: did, uri, val, cts, ...more }, key)
      await log.publish([{ did, encode: (seq) => encodeLabels([label], seq) }])
      return ++said
    },
    async [Symbol.asyncDispose]() {
      await sockets[Symbol.asyncDispose]()
      server.close()
      server.closeAllConnections()
    },
  }
}
