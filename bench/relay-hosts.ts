// A hundred hosts and the directory of their accounts, in a process of its own, for a relay to follow.
//   node relay-hosts.ts HOSTS ACCOUNTS COMMITS      accounts of each host, commits of each account
// The parent says what to send: { warm: true } the first commits, { rate, count } the next ones, so many a second
// (0: at once), and is told what arrives, and how late, by a subscriber of this process.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  createMemoryEventLog,
  DisconnectedError,
  encodeWebSocketFrame,
  patchSeq,
  peekFrame,
  type TransactionalEventLog,
} from '@skywright/firehose'
import { SimulatedNetwork } from '@skywright/firehose/testing'
import { createEventSockets, openWebSocket, type EventSockets } from '@skywright/firehose/ws'

/** What the parent may ask. */
export type HostsRequest =
  | { readonly subscribe: string }
  | { readonly send: number; readonly perSecond: number }
  | { readonly latencies: true }

/** What it is told. */
export type HostsAnswer =
  | { readonly plcUrl: string; readonly hostnames: readonly string[]; readonly warmUp: number }
  | { readonly subscribed: true }
  /** Everything asked for was sent; bytes as a relay puts them on a subscriber's wire. */
  | { readonly sent: number; readonly wireBytes: number }
  | { readonly connected: number }
  /** Milliseconds from a host's socket to a subscriber of the relay, since the last time this was asked. */
  | { readonly latencies: readonly number[] }

const [hostCount = 0, accountCount = 0, commitCount = 0] = process.argv.slice(2).map(Number)
/** Numbers of a relay that starts now: all of one length. */
const RELAY_SEQ = Date.now() * 1_000

const simulated = await simulate()
const hosts: { readonly sockets: EventSockets; readonly log: TransactionalEventLog }[] = []
const ports: number[] = []
for (let i = 0; i < hostCount; i++) {
  const log = createMemoryEventLog()
  const sockets = createEventSockets(log)
  const server = createServer((_request, response) => {
    response.end('{"did":"did:web:localhost"}')
  })
  server.on('upgrade', (request, socket, head) => sockets.upgrade(request, socket, head))
  ports.push(await listen(server))
  hosts.push({ sockets, log })
}
const plcPort = await listen(
  createServer((request, response) => {
    const did = decodeURIComponent((request.url ?? '').slice(1))
    const account = simulated.network.accounts.find((one) => one.did === did)
    if (account === undefined) {
      response.writeHead(404).end()
      return
    }
    const port = ports[simulated.network.hosts.indexOf(account.host)]
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        id: did,
        verificationMethod: [
          {
            id: `${did}#atproto`,
            type: 'Multikey',
            controller: did,
            publicKeyMultibase: account.key.publicKey.multibase,
          },
        ],
        service: [
          {
            id: '#atproto_pds',
            type: 'AtprotoPersonalDataServer',
            serviceEndpoint: `http://localhost:${String(port)}`,
          },
        ],
      }),
    )
  }),
)

const sentAt = new Map<string, number>()
let latencies: number[] = []
let next = 0

process.on('message', (request: HostsRequest) => {
  if ('subscribe' in request) void subscribe(request.subscribe)
  else if ('send' in request) void send(request.send, request.perSecond)
  else {
    answer({ latencies })
    latencies = []
  }
})
process.once('disconnect', () => process.exit(0))
const watch = setInterval(() => {
  const connected = hosts.reduce((sum, { sockets }) => sum + sockets.size, 0)
  answer({ connected })
  if (connected === hostCount) clearInterval(watch)
}, 50)
answer({
  plcUrl: `http://localhost:${String(plcPort)}`,
  hostnames: ports.map((port) => `localhost:${String(port)}`),
  warmUp: simulated.warmUp,
})

/** Every event of every host, in the order in which they will be sent: first the accounts, then their commits. */
async function simulate(): Promise<{
  readonly network: SimulatedNetwork
  readonly events: readonly (readonly [host: number, did: string, frame: Uint8Array])[]
  readonly warmUp: number
}> {
  // Revisions of the last hour: a relay refuses those of the future.
  let now = Date.now() - 3_600_000
  const network = await SimulatedNetwork.create({
    hosts: hostCount,
    accounts: 0,
    now: () => now++,
  })
  for (const host of network.hosts) {
    for (let i = 0; i < accountCount; i++) await network.addAccount(host)
  }
  for (let i = 0; i < commitCount; i++) {
    for (const account of network.accounts)
      await network.send(account, await network.write(account))
  }
  const lists = await Promise.all(
    network.hosts.map(({ log }) => log.read(0, { maxEvents: 1e6, maxBytes: 1e9 })),
  )
  const longest = Math.max(...lists.map((list) => list.length))
  const events: [number, string, Uint8Array][] = []
  for (let n = 0; n < longest; n++) {
    for (const [host, list] of lists.entries()) {
      const entry = list[n]
      if (entry !== undefined) events.push([host, entry.did, entry.frame])
    }
  }
  return { network, events, warmUp: hostCount * accountCount * 3 }
}

async function send(count: number, perSecond: number): Promise<void> {
  const started = performance.now()
  let wireBytes = 0
  let sent = 0
  while (sent < count) {
    const due = perSecond === 0 ? count : ((performance.now() - started) * perSecond) / 1_000
    for (; sent < Math.min(count, due); sent++) {
      const event = simulated.events[next++]
      if (event === undefined) throw new Error('the hosts have nothing more to send')
      const [host, did, frame] = event
      wireBytes += encodeWebSocketFrame(patchSeq(frame, RELAY_SEQ)).length
      sentAt.set(nameOf(frame), performance.now())
      await hosts[host]?.log.publish([{ did, encode: () => frame }])
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  answer({ sent, wireBytes })
}

/** A subscriber that knows when each event left its host. */
async function subscribe(relay: string): Promise<void> {
  const url = `${relay.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos`
  const frames = openWebSocket(url, {
    signal: new AbortController().signal,
    maxFrameBytes: 5_000_000,
    highWaterBytes: 16_000_000,
    onOpen: () => answer({ subscribed: true }),
  })
  try {
    for await (const frame of frames) received(frame)
  } catch (error) {
    // The relay goes first.
    if (!(error instanceof DisconnectedError)) throw error
  }
}

function received(frame: Uint8Array): void {
  const name = nameOf(frame)
  const at = sentAt.get(name)
  sentAt.delete(name)
  if (at !== undefined) latencies.push(performance.now() - at)
}

function nameOf(frame: Uint8Array): string {
  const { did, rev, type } = peekFrame(frame)
  return `${String(type)} ${String(did)} ${String(rev)}`
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  return (server.address() as AddressInfo).port
}

function answer(message: HostsAnswer): void {
  process.send?.(message)
}
