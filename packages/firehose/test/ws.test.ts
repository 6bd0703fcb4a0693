import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket, type RawData } from 'ws'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import { peekFrame } from '../src/peek.ts'
import { openPlatformSocket } from '../src/platform-socket.ts'
import type { FirehoseIssue } from '../src/stream-event.ts'
import { subscribeRepos } from '../src/subscribe.ts'
import { identityAppend } from '../src/testing/index.ts'
import { encodeWebSocketFrame } from '../src/ws-frame.ts'
import { createEventSockets, createOpenWebSocket, openWebSocket } from '../src/ws.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function serve(options: Parameters<typeof createEventSockets>[1] = {}) {
  const log = createMemoryEventLog()
  const sockets = createEventSockets(log, options)
  const server = createServer()
  server.on('upgrade', (request, socket, head) => {
    sockets.upgrade(request, socket, head)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.close()
    await sockets[Symbol.asyncDispose]()
  })
  const { port } = server.address() as AddressInfo
  return { log, sockets, service: `ws://127.0.0.1:${String(port)}`, port }
}

const did = (n: number) => `did:plc:${String(n).padStart(24, 'a')}`
const events = (count: number) => Array.from({ length: count }, (_, i) => identityAppend(did(i)))

describe.each([
  ['ws', openWebSocket],
  ['the platform’s WebSocket', openPlatformSocket],
])('createEventSockets, read through %s', (_name, open) => {
  it('replays and follows, over a real socket', async () => {
    const { log, service } = await serve()
    await log.publish(events(1_500))
    const issues: FirehoseIssue[] = []
    const seen: number[] = []
    for await (const event of subscribeRepos({
      service,
      cursor: 100,
      verify: false,
      open,
      lagMs: Infinity,
      onIssue: (issue) => issues.push(issue),
      concurrency: 1,
    })) {
      seen.push(event.seq)
      if (seen.length === 1_400) await log.publish(events(10))
      if (seen.length === 1_410) break
    }
    expect(seen).toEqual(Array.from({ length: 1_410 }, (_, i) => 101 + i))
    expect(issues).toEqual([])
  })

  it('stops at a cursor of the future', async () => {
    const { log, service } = await serve()
    await log.publish(events(1))
    const stream = subscribeRepos({
      service,
      cursor: 2,
      verify: false,
      open,
      onIssue: () => undefined,
    })
    await expect(stream.next()).rejects.toMatchObject({ code: 'FutureCursor' })
  })
})

describe('createEventSockets', () => {
  it('sends the same events to every subscriber', async () => {
    const { log, service, sockets } = await serve()
    await log.publish(events(20))
    const clients = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const client = new WebSocket(`${service}/?cursor=0`)
        const got: number[] = []
        client.on('message', (data: RawData) => {
          got.push(peekFrame(new Uint8Array(data as Buffer)).seq ?? 0)
        })
        await once(client, 'open')
        return { client, got }
      }),
    )
    expect(sockets.size).toBe(12)
    await log.publish(events(30))
    await Promise.all(
      clients.map(async ({ client, got }) => {
        while (got.length < 50) await once(client, 'message')
        expect(got).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
      }),
    )
    const closed = clients.map(({ client }) => once(client, 'close'))
    await sockets[Symbol.asyncDispose]()
    for (const [code] of await Promise.all(closed)) expect(code).toBe(1001)
    expect(sockets.size).toBe(0)
  })

  it.each(['x', '-1', '1.5', '99999999999999999999', ''])(
    'refuses the cursor %j',
    async (cursor) => {
      const { service } = await serve()
      const client = new WebSocket(`${service}/?cursor=${cursor}`)
      const [, response] = (await once(client, 'unexpected-response')) as [
        unknown,
        { statusCode: number },
      ]
      expect(response.statusCode).toBe(400)
      client.on('error', () => undefined)
      client.terminate()
    },
  )

  it('cuts off a subscriber that does not read, and holds little for it', async () => {
    const { log, sockets, port } = await serve({ maxBufferedBytes: 10_000, stallMs: 50 })
    const socket = connect(port, '127.0.0.1')
    socket.write(
      'GET /?cursor=0 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    await once(socket, 'data')
    socket.pause()
    const closed = once(socket, 'close')
    const filler = new Uint8Array(100_000)
    const { encodeEvent } = await import('../src/codec.ts')
    await log.publish(
      Array.from({ length: 300 }, () => ({
        did: did(1),
        encode: (seq: number) =>
          encodeEvent(
            { type: 'sync', seq, did: did(1), rev: '3lyqw6emh2s2h', blocks: filler, time: '' },
            seq,
          ),
      })),
    )
    while (sockets.size > 0) await new Promise((resolve) => setImmediate(resolve))
    socket.destroy()
    await closed
  })
})

describe('createOpenWebSocket', () => {
  it('pauses the socket while nobody reads, and loses nothing', async () => {
    const { log, service } = await serve()
    await log.publish(events(5_000))
    const stop = new AbortController()
    const frames = openWebSocket(`${service}/?cursor=0`, {
      signal: stop.signal,
      maxFrameBytes: 5_000_000,
      highWaterBytes: 1_000,
    })[Symbol.asyncIterator]()
    let expected = 1
    for (; expected <= 5_000; expected++) {
      const { value } = (await frames.next()) as { value: Uint8Array }
      expect(peekFrame(value).seq).toBe(expected)
      if (expected % 1_000 === 0) for (let i = 0; i < 5; i++) await new Promise(setImmediate)
    }
    stop.abort()
    await expect(frames.next()).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('says why a connection was refused', async () => {
    const { service } = await serve()
    const open = createOpenWebSocket()
    const options = { signal: new AbortController().signal, maxFrameBytes: 10, highWaterBytes: 10 }
    const refused = open(`${service}/?cursor=x`, options)[Symbol.asyncIterator]()
    await expect(refused.next()).rejects.toMatchObject({
      code: 'Disconnected',
      status: 400,
      retryable: false,
    })
    const nobody = open('ws://127.0.0.1:1', options)[Symbol.asyncIterator]()
    await expect(nobody.next()).rejects.toMatchObject({ code: 'Disconnected', retryable: true })
  })

  it('ends a connection whose message is too large', async () => {
    const { log, service } = await serve()
    await log.publish(events(1))
    const stop = new AbortController()
    const options = { signal: stop.signal, maxFrameBytes: 20, highWaterBytes: 1_000 }
    const frames = openWebSocket(`${service}/?cursor=0`, options)[Symbol.asyncIterator]()
    await expect(frames.next()).rejects.toMatchObject({ code: 'Disconnected' })
  })
})

describe('encodeWebSocketFrame', () => {
  it('writes the length as the protocol wants it', () => {
    const head = (length: number) => [
      ...encodeWebSocketFrame(new Uint8Array(length)).subarray(0, 10),
    ]
    expect(head(5).slice(0, 2)).toEqual([0x82, 5])
    expect(head(125).slice(0, 2)).toEqual([0x82, 125])
    expect(head(126).slice(0, 4)).toEqual([0x82, 126, 0, 126])
    expect(head(65_535).slice(0, 4)).toEqual([0x82, 126, 255, 255])
    expect(head(65_536)).toEqual([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0])
  })

  it('keeps the payload', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70_000 }), (payload) => {
        const frame = encodeWebSocketFrame(payload)
        expect(frame.subarray(frame.length - payload.length)).toEqual(payload)
      }),
      { numRuns: 50 },
    )
  })
})
