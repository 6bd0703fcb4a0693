// A service and its subscribers in one process, whose memory is watched: a segment log under retention, a subscriber
// that never reads, a consumer whose handler never returns, one whose handler stops now and then, and one that keeps
// up and verifies. Its parent sends the frames and, for each `sample` message, gets one reading.
import { createServer } from 'node:http'
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parsePublicKey } from '@skywright/identity/keys'
import { createMemoryCursorStore } from '../../src/cursor-store.ts'
import { openSegmentEventLog } from '../../src/event-log/segments/open-segments.ts'
import { patchSeq, peekFrame } from '../../src/peek.ts'
import { runRepos, type RunReposOptions } from '../../src/run.ts'
import { createMemoryChainStore } from '../../src/verify/chain-store.ts'
import type { AccountIdentity } from '../../src/verify/identity.ts'
import { createEventVerifier } from '../../src/verify/verifier.ts'
import { createEventSockets, openWebSocket } from '../../src/ws.ts'

/** What the parent sends. */
export type SoakOrder =
  | { readonly frames: readonly Uint8Array[] }
  /** `did:key` of each account. */
  | { readonly keys: Readonly<Record<string, string>> }
  | { readonly sample: true }
  | { readonly end: true }

/** One reading. */
export interface SoakSample {
  readonly rssMb: number
  /** Everything JavaScript holds after a collection, buffers included. */
  readonly heldMb: number
  readonly published: number
  /** Events the verifying consumer handled. */
  readonly verified: number
  /** Commits it refused, or that did not follow. */
  readonly refused: number
  /** Events that the handler which stops now and then has seen. */
  readonly paused: number
  /** Events begun by the handler that never returns. */
  readonly stuck: number
  /** How often the subscriber that never reads was cut off. */
  readonly cutOff: number
  readonly gaps: number
}

const [folder = ''] = process.argv.slice(2)
/** What retention keeps: some minutes. */
const WINDOW_BYTES = 16 * 1024 * 1024
const RETENTION_MS = 2_000
const TAIL_BYTES = 2 * 1024 * 1024
/** The handler that stops now and then: how often, and for how long. */
const PAUSE_EVERY_EVENTS = 1_500
const PAUSE_MS = 10_000

const log = await openSegmentEventLog({
  folder,
  segmentBytes: 4 * 1024 * 1024,
  tailBytes: TAIL_BYTES,
  sequence: 'counter',
})
const sockets = createEventSockets(log)
const server = createServer()
server.on('upgrade', (request, socket, head) => {
  sockets.upgrade(request, socket, head)
  // Whether it is still connected only this side can say: the other looks at nothing.
  if (request.url === '/never')
    socket.once('close', () => {
      counts.cutOff++
      silent?.destroy()
      if (!stop.signal.aborted) neverRead()
    })
})
let silent: Socket | undefined
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo
const service = `ws://127.0.0.1:${String(port)}`
const stop = new AbortController()
const identities = new Map<string, AccountIdentity>()
const counts = { published: 0, verified: 0, refused: 0, paused: 0, stuck: 0, cutOff: 0, gaps: 0 }

function follow(options: Pick<RunReposOptions, 'verify' | 'handle'>): Promise<unknown> {
  return runRepos({
    service,
    cursor: createMemoryCursorStore({ [service]: 0 }),
    open: openWebSocket,
    signal: stop.signal,
    onIssue: ({ kind }) => {
      if (kind === 'rejected' || kind === 'discontinuous') counts.refused++
      if (kind === 'gap' || kind === 'outdated-cursor') counts.gaps++
    },
    ...options,
  })
}

const verify = createEventVerifier({
  identity: {
    peek: (did) => identities.get(did),
    resolve: () => Promise.reject(new Error('unknown account')),
    purge: () => undefined,
  },
  chain: createMemoryChainStore(),
})
const running = [
  follow({ verify, handle: () => void counts.verified++ }),
  follow({
    verify: false,
    handle: async () => {
      if (++counts.paused % PAUSE_EVERY_EVENTS === 0) await sleep(PAUSE_MS)
    },
  }),
  follow({
    verify: false,
    handle: (_, signal) => {
      counts.stuck++
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true })
      })
    },
  }),
]
neverRead()

/** Subscribes and reads nothing; when it is cut off, again. */
function neverRead(): void {
  silent = connect({ port, host: '127.0.0.1' })
  silent.on('error', () => undefined)
  silent.write(
    'GET /never HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
}

async function keepWindow(): Promise<void> {
  while (!stop.signal.aborted) {
    await log.trim({ maxBytes: WINDOW_BYTES })
    await sleep(RETENTION_MS)
  }
}
running.push(keepWindow())

async function obey(order: SoakOrder): Promise<void> {
  if ('keys' in order) {
    for (const [did, key] of Object.entries(order.keys))
      identities.set(did, { signingKey: parsePublicKey(key), pds: undefined })
  } else if ('frames' in order) {
    await log.publish(
      order.frames.map((frame) => ({
        did: peekFrame(frame).did ?? '',
        encode: (seq) => patchSeq(frame, seq),
      })),
    )
    counts.published += order.frames.length
  } else if ('sample' in order) {
    globalThis.gc?.()
    globalThis.gc?.()
    const { rss, heapUsed, external } = process.memoryUsage()
    const sample: SoakSample = {
      rssMb: rss / 1_048_576,
      heldMb: (heapUsed + external) / 1_048_576,
      ...counts,
    }
    process.send?.(sample)
  } else {
    stop.abort()
    await Promise.allSettled(running)
    await sockets[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
    server.close()
    process.disconnect()
  }
}

process.on('message', (order: SoakOrder) => {
  void obey(order)
})
process.send?.('ready')
