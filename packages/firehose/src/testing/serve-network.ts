import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { encodeWebSocketFrame } from '../ws-frame.ts'
import type { SimulatedAccount, SimulatedHost, SimulatedNetwork } from './simulated-network.ts'

/** A simulated network on sockets of this machine. */
export interface ServedNetwork extends AsyncDisposable {
  /** Base URL of the directory that has the DID documents of the accounts, as they are at the moment of asking. */
  readonly plcUrl: string
  /** What a relay knows a host as: `localhost:PORT`. */
  hostnameOf(host: SimulatedHost): string
  /** Sends bytes to whoever listens to a host now, past its log: no cursor finds them again. */
  sendPast(host: SimulatedHost, frame: Uint8Array): void
}

export interface ServeNetworkOptions {
  /** Where the directory listens: for relays that must know before. @defaultValue a free port */
  readonly plcPort?: number | undefined
}

/**
 * Serves the hosts of a simulated network (`describeServer` and `subscribeRepos`), each on its own port of loopback over
 * plain http, and a directory of its accounts. Needs the `ws` package.
 */
export async function serveSimulatedNetwork(
  network: SimulatedNetwork,
  { plcPort = 0 }: ServeNetworkOptions = {},
): Promise<ServedNetwork> {
  // Here, so that the rest of the kit does without it.
  const { createEventSockets } = await import('../ws-serve.ts')
  await using stack = new AsyncDisposableStack()
  const hostnames = new Map<SimulatedHost, string>()
  const listeners = new Map<SimulatedHost, Set<Duplex>>()
  for (const host of network.hosts) {
    const sockets = createEventSockets(host.log)
    const open = new Set<Duplex>()
    listeners.set(host, open)
    const server = createServer((request, response) => {
      const isKnown = request.url === '/xrpc/com.atproto.server.describeServer'
      response.writeHead(isKnown ? 200 : 404, { 'content-type': 'application/json' })
      response.end(isKnown ? '{"did":"did:web:localhost","availableUserDomains":[]}' : '{}')
    })
    server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => socket.destroy())
      socket.once('close', () => open.delete(socket))
      open.add(socket)
      sockets.upgrade(request, socket, head)
    })
    hostnames.set(host, `localhost:${String(await listen(server))}`)
    stack.defer(() => close(server))
    stack.use(sockets)
  }
  const hostnameOf = (host: SimulatedHost): string => hostnames.get(host) ?? host.hostname
  const plc = createServer((request, response) => {
    const did = decodeURIComponent((request.url ?? '').slice(1))
    const account = network.accounts.find((one) => one.did === did)
    response.writeHead(account === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(account === undefined ? '{}' : documentOf(account, hostnameOf(account.host)))
  })
  const port = await listen(plc, plcPort)
  stack.defer(() => close(plc))
  const resources = stack.move()
  return {
    plcUrl: `http://localhost:${String(port)}`,
    hostnameOf,
    sendPast: (host, frame) => {
      const bytes = encodeWebSocketFrame(frame)
      for (const socket of listeners.get(host) ?? []) socket.write(bytes)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function documentOf({ did, key }: SimulatedAccount, hostname: string): string {
  return JSON.stringify({
    id: did,
    alsoKnownAs: [],
    verificationMethod: [
      {
        id: `${did}#atproto`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: key.publicKey.multibase,
      },
    ],
    service: [
      {
        id: '#atproto_pds',
        type: 'AtprotoPersonalDataServer',
        serviceEndpoint: `http://${hostname}`,
      },
    ],
  })
}

async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, 'localhost', resolve)
  })
  return (server.address() as AddressInfo).port // a TCP server's address is never a path
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
