import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { zstdCompressSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { createMemoryCursorStore } from '../src/cursor-store.ts'
import type { EventLog } from '../src/event-log/port.ts'
import {
  jetstreamEvents,
  subscribeJetstream,
  type SubscribeJetstreamOptions,
} from '../src/jetstream/index.ts'
import type { FirehoseIssue, StreamEvent } from '../src/stream-event.ts'
import { SimulatedNetwork } from '../src/testing/index.ts'
import { openWebSocket } from '../src/ws.ts'
import { decompressZstd } from '../src/zstd.ts'

const METHOD = 'network.bsky.jetstream.subscribeEvents'
const closers: (() => unknown)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

const message = (name: string, fields: object): string =>
  JSON.stringify({ $type: 'message', payload: { $type: `${METHOD}#${name}`, ...fields } })

/** The frames of a log as Jetstream v2 numbers and wraps them. */
async function framesOf(log: EventLog): Promise<string[]> {
  const frames: string[] = []
  for (const entry of await log.read(0, { maxEvents: 10_000, maxBytes: 1e9 })) {
    for (const { body } of jetstreamEvents(entry)) {
      const { kind, commit, ...rest } = body
      const time = new Date(entry.atMs).toISOString()
      frames.push(message(kind, { seq: frames.length + 1, time, ...rest, ...commit }))
    }
  }
  return frames
}

interface ServerOptions {
  readonly frames: readonly string[]
  /** The oldest number kept. */
  readonly floor?: number
  readonly dictionary?: Uint8Array
  /** Sent before anything else. */
  readonly first?: readonly string[]
}

/** A Jetstream v2 as its lexicon describes it. */
async function serve({ frames, floor = 0, dictionary, first = [] }: ServerOptions) {
  const urls: URL[] = []
  const server = createServer((_, response) => {
    response.end(dictionary)
  })
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    urls.push(url)
    const cursor = Number(url.searchParams.get('cursor') ?? frames.length + 1)
    if (cursor < floor) {
      const body = JSON.stringify({ error: 'CursorTooOld', message: `floor ${String(floor)}` })
      socket.end(
        `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`,
      )
      return
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      const isTime = cursor >= 1e15
      if (isTime) client.send(message('info', { name: 'OutdatedCursor', message: 'clamped' }))
      for (const one of first) client.send(one)
      const isCompressed = url.searchParams.has('zstdDictionary')
      for (const frame of frames.slice(Math.max(0, isTime ? floor - 1 : cursor - 1))) {
        if (isCompressed)
          client.send(zstdCompressSync(frame, { dictionary: dictionary!.subarray(8) }))
        else client.send(frame)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    for (const client of sockets.clients) client.terminate()
    server.close()
  })
  return { urls, service: `ws://127.0.0.1:${String((server.address() as AddressInfo).port)}` }
}

async function take(count: number, options: Omit<SubscribeJetstreamOptions, 'onIssue'>) {
  const events: StreamEvent[] = []
  const issues: FirehoseIssue[] = []
  for await (const event of subscribeJetstream({
    version: 2,
    open: openWebSocket,
    backoff: { baseMs: 1 },
    onIssue: (issue) => issues.push(issue),
    ...options,
  })) {
    events.push(event)
    if (events.length === count) break
  }
  return { events, issues }
}

async function simulated() {
  const network = await SimulatedNetwork.create({ accounts: 5, seed: 16 })
  for (let i = 0; i < 120; i++) await network.step()
  return await framesOf(network.hosts[0]!.log)
}

describe('subscribeJetstream, version 2', () => {
  it('gives the events the firehose would, numbered by Jetstream, and asks by its names', async () => {
    const frames = await simulated()
    const { service, urls } = await serve({ frames })
    const filter = { collections: ['app.bsky.*'], dids: ['did:plc:a'] }
    const { events, issues } = await take(frames.length, { service, cursor: 0, filter })
    expect(issues).toEqual([])
    expect(events.map((event) => event.seq)).toEqual(frames.map((_, i) => i + 1))
    const kinds = new Set(events.map((event) => event.type))
    expect(kinds).toEqual(new Set(['commit', 'identity', 'account']))
    for (const event of events) {
      expect(event).toMatchObject({ verified: false, live: true, source: service })
      if (event.type !== 'commit') continue
      for (const op of event.ops) expect(op.record === undefined).toBe(op.cid === null)
    }
    expect(urls[0]?.pathname).toBe(`/xrpc/${METHOD}`)
    expect(urls[0]?.search).toBe('?collections=app.bsky.*&dids=did%3Aplc%3Aa&cursor=0')
  })

  it('tells that a repository jumped, and of notes and strangers', async () => {
    const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
    const time = '2026-08-10T00:00:00.000001Z'
    const { service } = await serve({
      frames: [
        message('info', { name: 'Maintenance', message: 'soon' }),
        message('newKind', { seq: 4 }),
        '{"$type":"later"}',
        'no json',
        message('commit', { seq: 5, did: 'nobody', time }),
        message('sync', { seq: 9, did, time, sync: { rev: '3lyqw6emh2s2h' } }),
      ],
    })
    const { events, issues } = await take(1, { service, cursor: 0 })
    expect(events).toEqual([
      {
        type: 'sync',
        seq: 9,
        did,
        time,
        rev: '3lyqw6emh2s2h',
        source: service,
        verified: false,
        live: true,
      },
    ])
    expect(issues).toMatchObject([
      { kind: 'info', name: 'Maintenance' },
      { kind: 'unknown-frame', type: 'newKind' },
      { kind: 'unknown-frame', type: 'later' },
      { kind: 'invalid-frame' },
      { kind: 'invalid-frame' },
    ])
  })

  it('continues behind its cursor, which the server takes as inclusive', async () => {
    const frames = await simulated()
    const { service, urls } = await serve({ frames })
    const cursor = createMemoryCursorStore({ [service]: 0 })
    await take(41, { service, cursor })
    // The last one was not handled: the loop was left in it.
    expect(await cursor.get(service)).toBe(40)
    const { events } = await take(10, { service, cursor })
    expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 10 }, (_, i) => 41 + i))
    expect(urls[1]?.searchParams.get('cursor')).toBe('40')
  })

  it('says that its cursor was too old, and goes on with what is there', async () => {
    const frames = await simulated()
    const { service, urls } = await serve({ frames, floor: 60 })
    const { events, issues } = await take(5, { service, cursor: 10 })
    expect(events.map((event) => event.seq)).toEqual([60, 61, 62, 63, 64])
    expect(issues.map((issue) => issue.kind)).toEqual([
      'outdated-cursor',
      'reconnect',
      'outdated-cursor',
    ])
    expect(issues[0]).toMatchObject({ cursor: 10 })
    expect(urls[1]?.searchParams.get('cursor')).toBe('1000000000000000')
  })

  it('connects again after an error frame', async () => {
    const frames = await simulated()
    const error = '{"$type":"error","error":"ConsumerTooSlow","message":"too slow"}'
    const { service, urls } = await serve({ frames: [...frames.slice(0, 3), error] })
    const stop = new AbortController()
    const issues: FirehoseIssue[] = []
    for await (const event of subscribeJetstream({
      version: 2,
      service,
      cursor: 0,
      open: openWebSocket,
      backoff: { baseMs: 1 },
      signal: stop.signal,
      onIssue: (issue) => {
        issues.push(issue)
        if (issues.length === 2) stop.abort()
      },
    }))
      expect(event.seq).toBeLessThan(4)
    expect(issues).toMatchObject([
      { kind: 'reconnect', error: { code: 'ConsumerTooSlow' } },
      { kind: 'reconnect', error: { code: 'ConsumerTooSlow' } },
    ])
    expect(urls[1]?.searchParams.get('cursor')).toBe('3')
  })

  it('reads compressed messages with the dictionary the server gives', async () => {
    const frames = await simulated()
    // The head of a dictionary, and bytes that serve as one of the plain kind: Node makes no others.
    const dictionary = Buffer.concat([Buffer.from('37a430ec07000000', 'hex'), randomBytes(2_000)])
    const { service, urls } = await serve({ frames, dictionary })
    const plain = await take(60, { service, cursor: 0 })
    const { events, issues } = await take(60, {
      service,
      cursor: 0,
      zstd: {
        decompress: (frame, given, maxBytes) => decompressZstd(frame, given.subarray(8), maxBytes),
      },
    })
    expect(issues).toEqual([])
    expect(events).toEqual(plain.events)
    expect(urls[1]?.searchParams.get('zstdDictionary')).toBe('7')
  })
})

describe('compressed Jetstream v1', () => {
  const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
  const json = (us: number, more: object = {}) =>
    JSON.stringify({ did, time_us: us, kind: 'account', account: { active: true, ...more } })
  const dictionary = randomBytes(1_000)

  it('is read with the dictionary handed in; what grows too large is refused', async () => {
    const compress = (text: string) => zstdCompressSync(text, { dictionary })
    const messages = [
      compress(json(1_000)),
      compress(json(2_000, { bomb: ' '.repeat(9_000_000) })),
      compress(json(3_000)).subarray(0, 20),
      new TextEncoder().encode(json(4_000)),
    ]
    const urls: string[] = []
    const { events, issues } = await take(2, {
      version: 1,
      service: 'wss://jetstream.test',
      zstd: { decompress: decompressZstd, dictionary },
      open: async function* (url) {
        urls.push(url)
        yield* messages
      },
    })
    expect(events.map((event) => event.seq)).toEqual([1_000, 4_000])
    expect(issues.map((issue) => issue.kind)).toEqual(['invalid-frame', 'invalid-frame'])
    expect(urls).toEqual(['wss://jetstream.test/subscribe?compress=true'])
  })

  it('needs a dictionary', async () => {
    const options = { service: 'wss://jetstream.test', onIssue: () => undefined }
    const stream = subscribeJetstream({ ...options, zstd: { decompress: decompressZstd } })
    await expect(stream.next()).rejects.toThrow(TypeError)
  })
})
