import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { MessageFrame, XrpcStreamServer } from '@atproto/xrpc-server'
import {
  createMemoryEventLog,
  encodeWebSocketFrame,
  patchSeq,
  peekFrame,
} from '@skywright/firehose'
import { createEventSockets } from '@skywright/firehose/ws'
import { decodeCborPrefix } from '@skywright/repo'
import { readLiveFrames } from '../fixtures.ts'
import { race, type Contender, type Row } from '../row.ts'

const SUBSCRIBERS = 100
/** Published before waiting for the slowest subscriber. */
const BURST = 50
const FRAME_BYTES = 5_000

export const row: Row = {
  work: 'hand commits to 100 subscribers over WebSockets, until the last one has them: ours one encoding for all, the rival one for each',
  unit: '/s',
  rivalName: '@atproto/xrpc-server',
  async measure() {
    const frame = commitOfSize(FRAME_BYTES)
    await using ours = await startOurs(frame)
    await using rival = await startRival(frame)
    const rates = await race(ours, rival)
    return {
      ...rates,
      note: `${frame.length} bytes a frame; frames handed over a second, all subscribers together`,
    }
  },
}

/** The captured commit whose size is closest. */
function commitOfSize(bytes: number): Uint8Array {
  const commits = readLiveFrames().frames.filter((frame) => peekFrame(frame).type === '#commit')
  const [closest] = commits.toSorted(
    (a, b) => Math.abs(a.length - bytes) - Math.abs(b.length - bytes),
  )
  if (closest === undefined) throw new Error('no commit in the capture')
  // Numbers of one length throughout, so that every frame has the same.
  return patchSeq(closest, FIRST_SEQ)
}

const FIRST_SEQ = 2 ** 40
/** More than a burst, so that retention takes nothing from a subscriber. */
const KEPT_BYTES = 4 * BURST * FRAME_BYTES

type Running = Contender & AsyncDisposable

async function startOurs(frame: Uint8Array): Promise<Running> {
  const log = createMemoryEventLog({ lastSeq: FIRST_SEQ })
  const sockets = createEventSockets(log)
  const server = createServer()
  server.on('upgrade', (request, socket, head) => {
    sockets.upgrade(request, socket, head)
  })
  const events = Array.from({ length: BURST }, () => ({
    did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
    encode: (seq: number) => patchSeq(frame, seq),
  }))
  return await running(
    server,
    encodeWebSocketFrame(frame).length,
    async () => {
      await log.publish(events)
      await log.trim({ maxBytes: KEPT_BYTES })
    },
    async () => {
      await sockets[Symbol.asyncDispose]()
    },
  )
}

/** As the reference serves its outbox: a queue for each subscriber, a frame object and its bytes made for each. */
async function startRival(frame: Uint8Array): Promise<Running> {
  const { value } = decodeCborPrefix(frame, decodeCborPrefix(frame).end)
  const body = value as Record<string, unknown>
  const subscribers = new Set<{ waiting: Record<string, unknown>[]; wake: () => void }>()
  const server = createServer()
  const streams = new XrpcStreamServer({
    server,
    async *handler(_request: unknown, signal: AbortSignal) {
      const subscriber = { waiting: [] as Record<string, unknown>[], wake: () => {} }
      subscribers.add(subscriber)
      signal.addEventListener('abort', () => subscriber.wake())
      try {
        while (!signal.aborted) {
          const { waiting } = subscriber
          subscriber.waiting = []
          for (const event of waiting) yield new MessageFrame(event as never, { type: '#commit' })
          if (subscriber.waiting.length > 0) continue
          await new Promise<void>((resolve) => (subscriber.wake = resolve))
        }
      } finally {
        subscribers.delete(subscriber)
      }
    },
  })
  let seq = FIRST_SEQ
  return await running(
    server,
    encodeWebSocketFrame(frame).length,
    () => {
      const events = Array.from({ length: BURST }, () => ({ ...body, seq: ++seq }))
      for (const subscriber of subscribers) {
        subscriber.waiting.push(...events)
        subscriber.wake()
      }
      return Promise.resolve()
    },
    () => {
      for (const client of streams.wss.clients) client.terminate()
      streams.wss.close()
      return Promise.resolve()
    },
  )
}

/** A server with its subscribers connected. */
async function running(
  server: Server,
  wireBytes: number,
  publish: () => Promise<void>,
  stop: () => Promise<void>,
): Promise<Running> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const clients = fork(join(import.meta.dirname, '..', 'fan-out-clients.ts'), [
    String(port),
    String(SUBSCRIBERS),
  ])
  await messages(clients, SUBSCRIBERS)
  let target = 0
  let received = 0
  let arrived = (): void => {}
  clients.on('message', ({ least }: { readonly least: number }) => {
    received = least
    if (received >= target) arrived()
  })
  return {
    async run() {
      target += BURST * wireBytes
      await publish()
      if (received < target) await new Promise<void>((resolve) => (arrived = resolve))
      if (received !== target) throw new Error(`received ${received} of ${target} bytes`)
      return BURST * SUBSCRIBERS
    },
    async [Symbol.asyncDispose]() {
      clients.disconnect()
      await once(clients, 'exit')
      await stop()
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Waits until the child said something so many times. */
async function messages(child: ChildProcess, count: number): Promise<void> {
  await new Promise<void>((resolve) => {
    let left = count
    const heard = (): void => {
      if (--left > 0) return
      child.off('message', heard)
      resolve()
    }
    child.on('message', heard)
  })
}
