import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { encodeEvent } from '../src/codec.ts'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import {
  createJetstreamMatcher,
  serveJetstream,
  subscribeJetstream,
  type JetstreamZstd,
} from '../src/jetstream/index.ts'
import { patchSeq, peekFrame } from '../src/peek.ts'
import type { FirehoseIssue, StreamEvent } from '../src/stream-event.ts'
import { createFakeClock, SimulatedNetwork } from '../src/testing/index.ts'
import { createJetstreamSockets, openWebSocket } from '../src/ws.ts'
import { compressZstd, decompressZstd } from '../src/zstd.ts'
import { haveFixtures, liveFrames, readFixture } from './fixtures.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

const everything = createJetstreamMatcher({})

/** A log of the frames, one millisecond for every three of them. */
async function logOf(frames: readonly Uint8Array[]) {
  let nowMs = 1_800_000_000_000
  const log = createMemoryEventLog({ now: () => nowMs })
  for (const [index, frame] of frames.entries()) {
    if (index % 3 === 0) nowMs++
    const did = peekFrame(frame).did ?? ''
    await log.publish([{ did, encode: (seq) => patchSeq(frame, seq) }])
  }
  return log
}

async function take(stream: AsyncGenerator<string>, count: number) {
  const messages: {
    time_us: number
    did: string
    kind: string
    commit?: { collection: string }
  }[] = []
  for await (const message of stream) {
    messages.push(JSON.parse(message) as (typeof messages)[number])
    if (messages.length === count) break
  }
  return messages
}

async function simulated(steps: number) {
  const network = await SimulatedNetwork.create({ accounts: 5, seed: 6 })
  for (let i = 0; i < steps; i++) await network.step()
  const [host] = network.hosts
  const entries = await host!.log.read(0, { maxEvents: 10_000, maxBytes: 1e9 })
  return { network, log: await logOf(entries.map((entry) => entry.frame)) }
}

async function listen(...of: Parameters<typeof createJetstreamSockets>) {
  const sockets = createJetstreamSockets(...of)
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
  return { sockets, service: `ws://127.0.0.1:${String((server.address() as AddressInfo).port)}` }
}

describe.skipIf(!haveFixtures('live-firehose'))('serveJetstream on real frames', () => {
  it('writes what Jetstream wrote of them', async () => {
    const log = await logOf(liveFrames())
    const ours = await take(serveJetstream(log, { cursor: 1, filter: () => everything }), 152)
    const theirs = new TextDecoder()
      .decode(readFixture('live-firehose/jetstream-v1.jsonl'))
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as (typeof ours)[number])
    const plain = (events: typeof ours) =>
      events
        .map((event) => ({ ...event, time_us: 0 }))
        .map((event) => JSON.stringify(sortKeys(event)).replace(/"seq":\d+/, '"seq":0'))
        .toSorted()
    expect(theirs).toHaveLength(152)
    expect(plain(ours)).toEqual(plain(theirs))
  })
})

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sortKeys(one)]),
  )
}

describe('serveJetstream', () => {
  it('gives every event one time, the same whenever and from wherever it is asked', async () => {
    const { log } = await simulated(120)
    const all = await take(serveJetstream(log, { cursor: 1, filter: () => everything }), 100)
    const times = all.map((event) => event.time_us)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(new Set(times).size).toBe(100)
    for (const from of [1, 17, 40, 63]) {
      const cursor = times[from]
      const rest = await take(serveJetstream(log, { cursor, filter: () => everything }), 100 - from)
      expect(rest).toEqual(all.slice(from))
    }
  })

  it.each([undefined, 9_000_000_000_000_000])('is live with cursor %s', async (cursor) => {
    const { log, network } = await simulated(10)
    const stream = serveJetstream(log, { cursor, filter: () => everything })
    const next = stream.next()
    const account = network.accounts[0]!
    const event = await network.write(account)
    await log.publish([{ did: account.did, encode: (seq) => encodeEvent(event, seq) }])
    const { value } = await next
    expect(JSON.parse(value ?? '')).toMatchObject({ did: account.did, commit: { rev: event.rev } })
    await stream.return()
  })

  it('filters collections on the dot, and lets identity and account events pass', async () => {
    const { log, network } = await simulated(150)
    const matcher = createJetstreamMatcher({ wantedCollections: ['app.bsky.graph.*'] })
    const messages = await take(serveJetstream(log, { cursor: 1, filter: () => matcher }), 15)
    expect(new Set(messages.map((message) => message.commit?.collection ?? message.kind))).toEqual(
      new Set(['identity', 'account', 'app.bsky.graph.follow']),
    )
    const { did } = network.accounts[2]!
    const one = createJetstreamMatcher({ wantedDids: [did] })
    const theirs = await take(serveJetstream(log, { cursor: 1, filter: () => one }), 10)
    expect(theirs.every((message) => message.did === did)).toBe(true)
    const small = createJetstreamMatcher({ maxMessageSizeBytes: 300 })
    for await (const message of serveJetstream(log, { cursor: 1, filter: () => small })) {
      expect(message.length).toBeLessThanOrEqual(300)
      if (message.includes('identity')) continue
      break
    }
  })

  it('measures messages in bytes', async () => {
    const log = createMemoryEventLog({ now: () => 1_800_000_000_000 })
    const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
    const time = '2027-01-01T00:00:00.000Z'
    for (const handle of ['猫'.repeat(100), 'cat']) {
      const event = { type: 'identity', seq: 0, did, time, handle } as const
      await log.publish([{ did, encode: (seq) => encodeEvent(event, seq) }])
    }
    const lengths: number[] = []
    for await (const message of serveJetstream(log, { cursor: 1, filter: () => everything })) {
      lengths.push(message.length)
      if (lengths.length === 2) break
    }
    const small = createJetstreamMatcher({ maxMessageSizeBytes: lengths[0]! })
    const { value } = await serveJetstream(log, { cursor: 1, filter: () => small }).next()
    expect(JSON.parse(value ?? '')).toMatchObject({ identity: { handle: 'cat' } })
  })

  it('lets others have their turn while it looks for what is wanted, and ends when told so meanwhile', async () => {
    const { log } = await simulated(1_000)
    const stop = new AbortController()
    let asked = 0
    const nothing = {
      maxBytes: Infinity,
      wants: () => {
        asked++
        return false
      },
    }
    const { signal } = stop
    const stream = serveJetstream(log, { cursor: 1, signal, filter: () => nothing })
    setImmediate(() => stop.abort())
    expect((await stream.next()).done).toBe(true)
    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThan(900)
  })

  it('refuses filters beyond what Jetstream allows', () => {
    const many = Array.from({ length: 101 }, (_, i) => `a.b.c${String(i)}`)
    expect(() => createJetstreamMatcher({ wantedCollections: many })).toThrow(RangeError)
    expect(() => createJetstreamMatcher({ wantedCollections: ['a*'] })).toThrow(TypeError)
  })
})

describe('createJetstreamSockets and subscribeJetstream', () => {
  it('hand the records of a log to a subscriber, over a real socket', async () => {
    const { log } = await simulated(80)
    const { service } = await listen(log)
    const issues: FirehoseIssue[] = []
    const events: StreamEvent[] = []
    for await (const event of subscribeJetstream({
      service,
      cursor: 1,
      open: openWebSocket,
      onIssue: (issue) => issues.push(issue),
    })) {
      events.push(event)
      if (events.length === 80) break
    }
    expect(issues).toEqual([])
    const commits = events.filter((event) => event.type === 'commit')
    expect(commits.length).toBeGreaterThan(60)
    for (const { verified, ops } of commits) {
      expect(verified).toBe(false)
      for (const op of ops) expect(op.record === undefined).toBe(op.cid === null)
    }
  })

  it('change the filter when the subscriber says so', async () => {
    const { log } = await simulated(60)
    const { service } = await listen(log)
    const client = new WebSocket(`${service}/subscribe?cursor=1&requireHello=true`)
    await once(client, 'open')
    const payload = {
      wantedCollections: ['app.bsky.feed.post'],
      wantedDids: [],
      maxMessageSizeBytes: 0,
    }
    client.send(JSON.stringify({ type: 'options_update', payload }))
    const kinds = new Set<string>()
    let received = 0
    client.on('message', (data: Buffer) => {
      const { kind, commit } = JSON.parse(data.toString()) as {
        kind: string
        commit?: { collection: string }
      }
      kinds.add(commit?.collection ?? kind)
      received++
    })
    while (received < 12) await new Promise((resolve) => setImmediate(resolve))
    expect([...kinds].toSorted()).toEqual(['account', 'app.bsky.feed.post', 'identity'])
    client.send('{"type":"options_update","payload":{"wantedDids":7}}')
    const [code] = (await once(client, 'close')) as [number]
    expect(code).toBe(1008)
  })

  it('compress each message once for all who want that, with the dictionary handed in', async () => {
    const { log } = await simulated(40)
    const dictionary = new TextEncoder().encode('"kind":"commit","operation":"create"'.repeat(20))
    let compressed = 0
    const compress = (bytes: Uint8Array, given: Uint8Array): Uint8Array => {
      compressed++
      return compressZstd(bytes, given)
    }
    const { service } = await listen(log, { zstd: { compress, dictionary } })
    const read = async (zstd?: JetstreamZstd): Promise<StreamEvent[]> => {
      const events: StreamEvent[] = []
      for await (const event of subscribeJetstream({
        service,
        cursor: 1,
        open: openWebSocket,
        onIssue: (issue) => expect.unreachable(issue.kind),
        ...(zstd === undefined ? {} : { zstd }),
      })) {
        events.push(event)
        if (events.length === 40) break
      }
      return events
    }
    const plain = await read()
    expect(compressed).toBe(0)
    let decompressed = 0
    const decompress: JetstreamZstd['decompress'] = (...given) => {
      decompressed++
      return decompressZstd(...given)
    }
    for (let n = 0; n < 3; n++) expect(await read({ decompress, dictionary })).toEqual(plain)
    expect(decompressed).toBeGreaterThanOrEqual(120)
    expect(compressed).toBeGreaterThanOrEqual(40)
    expect(compressed).toBeLessThan(60)
  })

  it('compress for who asks by a header, as clients in Go do', async () => {
    const { log } = await simulated(5)
    const headers = { 'Socket-Encoding': 'zstd' }
    const dictionary = new TextEncoder().encode('"kind":"commit","operation":"create"'.repeat(20))
    const { service } = await listen(log, { zstd: { compress: compressZstd, dictionary } })
    const client = new WebSocket(`${service}/subscribe?cursor=1`, { headers })
    const [data, isBinary] = (await once(client, 'message')) as [Buffer, boolean]
    client.terminate()
    expect(isBinary).toBe(true)
    const message = new TextDecoder().decode(decompressZstd(data, dictionary, 10_000))
    expect(JSON.parse(message)).toHaveProperty('time_us')
    const unable = await listen(log)
    const refused = new WebSocket(`${unable.service}/subscribe`, { headers })
    refused.on('error', () => undefined)
    await once(refused, 'unexpected-response')
    refused.terminate()
  })

  it('go away although a subscriber never said what it wants', async () => {
    const { sockets, service } = await listen(createMemoryEventLog())
    const client = new WebSocket(`${service}/subscribe?requireHello=true`)
    await once(client, 'open')
    const closed = once(client, 'close')
    await sockets[Symbol.asyncDispose]()
    expect((await closed)[0]).toBe(1001)
  })

  it.each(['cursor=x', 'compress=true', 'maxMessageSizeBytes=y', 'wantedCollections=a*'])(
    'refuse %s',
    async (query) => {
      const { service } = await listen(createMemoryEventLog())
      const client = new WebSocket(`${service}/subscribe?${query}`)
      client.on('error', () => undefined)
      const [, response] = (await once(client, 'unexpected-response')) as [
        unknown,
        { statusCode: number },
      ]
      expect(response.statusCode).toBe(400)
      client.terminate()
    },
  )

  it('rewinds after a lost connection, without repeating', async () => {
    const { log } = await simulated(40)
    const messages: string[] = []
    for await (const message of serveJetstream(log, { cursor: 1, filter: () => everything })) {
      messages.push(message)
      if (messages.length === 40) break
    }
    const lines = messages.map((message) => new TextEncoder().encode(message))
    const urls: string[] = []
    const clock = createFakeClock()
    const issues: FirehoseIssue[] = []
    const stream = subscribeJetstream({
      service: 'wss://jetstream.test',
      cursor: 1,
      clock,
      onIssue: (issue) => issues.push(issue),
      open: async function* (url) {
        urls.push(url)
        yield* urls.length === 1 ? lines.slice(0, 25) : [...lines.slice(10), lines[0]!.slice(1)]
      },
    })
    const seen: number[] = []
    for (let i = 0; i < 40; i++) {
      const next = stream.next()
      await clock.advance(i === 25 ? 5_000 : 0)
      const { value } = await next
      if (value !== undefined) seen.push(value.seq)
    }
    expect(new Set(seen).size).toBe(40)
    expect(Number(new URL(urls[1] ?? '').searchParams.get('cursor'))).toBe(seen[24]! - 5_000_000)
    const ended = stream.next()
    await clock.advance(0)
    expect(issues.map((issue) => issue.kind)).toEqual(['reconnect', 'invalid-frame', 'reconnect'])
    void ended
    await Promise.race([stream.return(), clock.advance(1)])
  })

  it('leave out a record that is not what its CID says', async () => {
    const record = { $type: 'a.b.c', text: 'changed' }
    const cid = 'bafyreiguce4jh7kcbmof3pmcvasifqtw24b6isakj5ve5ga2b4z4alpc4i'
    const commit = {
      rev: '3lyqw6emh2s2h',
      operation: 'create',
      collection: 'a.b.c',
      rkey: '1',
      record,
      cid,
    }
    const issues: FirehoseIssue[] = []
    const stream = subscribeJetstream({
      service: 'wss://jetstream.test',
      onIssue: (issue) => issues.push(issue),
      open: async function* () {
        const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
        yield new TextEncoder().encode(JSON.stringify({ did, time_us: 5, kind: 'commit', commit }))
        const account = { active: true }
        yield new TextEncoder().encode(
          JSON.stringify({ did, time_us: 6, kind: 'account', account }),
        )
      },
    })
    expect((await stream.next()).value).toMatchObject({ type: 'account', seq: 6 })
    expect(issues).toMatchObject([{ kind: 'rejected', reason: 'record-mismatch', seq: 5 }])
    await stream.return()
  })
})
