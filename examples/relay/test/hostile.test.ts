import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { encodeEvent } from '@skywright/firehose'
import { createClient } from '@skywright/xrpc'
import { encodeMessageFrame } from '@skywright/xrpc/frame'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { relayLexicons } from '../src/lexicons.ts'
import {
  type BadHost,
  type BadHostOptions,
  startBadHost,
  webSocketFrame,
} from './support/bad-host.ts'
import { type FakeHost, startFakeHost } from './support/host.ts'
import { type FakePlc, startFakePlc } from './support/plc.ts'
import { end, startProcess } from './support/process.ts'
import { subscribe } from './support/subscriber.ts'

/** What a relay process may take on top of what it took before it was attacked: its queues, with room to spare. */
const MAX_GROWTH_BYTES = 300e6
const MEGABYTE = 1_000_000

let stack: AsyncDisposableStack
let plc: FakePlc
let host: FakeHost
let url: string
let restBytes: number

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  plc = stack.use(await startFakePlc())
  host = stack.use(await startFakeHost({ plc }))
  const directory = mkdtempSync(join(tmpdir(), 'relay-hostile-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const { child, url: started } = await startProcess({
    RELAY_PORT: '0',
    RELAY_DATA_DIRECTORY: directory,
    RELAY_DEVELOPMENT: 'true',
    RELAY_PLC_URL: plc.url,
    RELAY_ADMIN_PASSWORD: 'a long password',
    RELAY_JETSTREAM: 'true',
    RELAY_LOG_LEVEL: 'fatal',
  })
  // Whatever was done to it, it ends in order.
  stack.defer(async () => {
    expect(await end(child, 'SIGTERM')).toBe(0)
  })
  url = started
  restBytes = await residentBytes()
})
afterEach(() => stack.disposeAsync())

async function residentBytes(): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\d+)$/m.exec(metrics)?.[1])
}

/** Still there, still ready, and no larger than it may be. */
async function expectWell(): Promise<void> {
  const ready = await fetch(`${url}/readyz`)
  expect([ready.status, await ready.text()]).toEqual([200, 'ready'])
  expect((await residentBytes()) - restBytes).toBeLessThan(MAX_GROWTH_BYTES)
}

async function crawl(hostname: string): Promise<readonly [number, string]> {
  const response = await fetch(`${url}/xrpc/com.atproto.sync.requestCrawl`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ hostname }),
  })
  return [response.status, await response.text()]
}

async function bad(options: BadHostOptions): Promise<BadHost> {
  return stack.use(await startBadHost(options))
}

function open(): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => socket.destroy())
  stack.defer(() => void socket.destroy())
  return socket
}

describe('callers that mean no good', () => {
  it('get no further with headers without end, half requests, and bodies that are too large', async () => {
    const flood = open()
    flood.write('GET / HTTP/1.1\r\nhost: x\r\n')
    const ended = new Promise((resolve) => flood.once('close', resolve))
    let answer = ''
    flood.on('data', (data: Uint8Array) => (answer += new TextDecoder().decode(data)))
    const pump = (): void => {
      while (!flood.destroyed && flood.write(`x-filler: ${'x'.repeat(1_000)}\r\n`));
      if (!flood.destroyed) flood.once('drain', pump)
    }
    pump()
    await ended
    expect(answer === '' || answer.startsWith('HTTP/1.1 431')).toBe(true)

    for (let i = 0; i < 300; i++) open().write('POST /xrpc/com.atproto.sync.requestCrawl HTT')
    for (let i = 0; i < 50; i++) {
      open().write(
        'POST /xrpc/com.atproto.sync.requestCrawl HTTP/1.1\r\nhost: x\r\n' +
          'content-type: application/json\r\ncontent-length: 900000000\r\n\r\n{"hostname":"',
      )
    }
    const post = async (
      body: Uint8Array,
      headers: Record<string, string> = {},
    ): Promise<number> => {
      const response = await fetch(`${url}/xrpc/com.atproto.sync.requestCrawl`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: Buffer.from(body),
      })
      return response.status
    }
    expect(await post(gzipSync(Buffer.alloc(50 * MEGABYTE)), { 'content-encoding': 'gzip' })).toBe(
      413,
    )
    // Refused by its length, before it is there.
    const large = await post(Buffer.alloc(20 * MEGABYTE)).catch(() => 413)
    expect(large).toBe(413)
    expect(await post(Buffer.from('['.repeat(100_000)))).toBe(400)
    await expectWell()
  })

  it('get answers, and only refusals, to whatever they ask', async () => {
    const junk = [
      '\0',
      '%00',
      '\uD800',
      '../../etc/passwd',
      "'; DROP TABLE relay_host; --",
      '9'.repeat(400),
    ]
    const questions = [
      'com.atproto.sync.getRepo?did=',
      'com.atproto.sync.getRepoStatus?did=',
      'com.atproto.sync.getLatestCommit?did=',
      'com.atproto.sync.getHostStatus?hostname=',
      'com.atproto.sync.listRepos?cursor=',
      'com.atproto.sync.listHosts?cursor=',
      'com.atproto.sync.listReposByCollection?collection=',
      'com.atproto.sync.listReposByCollection?collection=app.bsky.feed.post&cursor=',
      'com.atproto.sync.subscribeRepos?cursor=',
      'io.github.skywright.relay.getHostReport?hostname=',
      'io.github.skywright.relay.listReposByCollections?collections=',
      'com.atproto.admin.getSubjectStatus?did=',
    ]
    for (const question of questions) {
      for (const text of junk) {
        const value = text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80'
        const { status } = await fetch(`${url}/xrpc/${question}${value}`, { redirect: 'manual' })
        expect([question, text, status >= 400 && status < 500]).toEqual([question, text, true])
      }
    }
    for (const text of junk) {
      const value = text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80'
      for (const path of [`/hosts/${value}`, `/${value}`, `/hosts?hostname=${value}`]) {
        const { status } = await fetch(`${url}${path}`)
        expect([path, status >= 400 && status < 500]).toEqual([path, true])
      }
      expect((await crawl(text))[0]).toBe(400)
    }
    await expectWell()
  })

  it('change nothing without the admin’s credentials', async () => {
    expect((await crawl(host.hostname))[0]).toBe(200)
    const account = await host.createAccount()
    const { did } = account
    const takedown = {
      subject: { $type: 'com.atproto.admin.defs#repoRef', did },
      takedown: { applied: true },
    }
    const calls = [
      ['io.github.skywright.relay.updateHost', { hostname: host.hostname, banned: true }],
      ['com.atproto.admin.updateSubjectStatus', takedown],
    ] as const
    const headers = [
      undefined,
      '',
      'Basic',
      'Basic YWRtaW46',
      'Bearer a.b.c',
      `Basic ${'A'.repeat(8_000)}`,
    ]
    for (const [nsid, body] of calls) {
      for (const authorization of headers) {
        const { status } = await fetch(`${url}/xrpc/${nsid}`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            ...(authorization === undefined ? {} : { authorization }),
          },
          body: JSON.stringify(body),
        })
        expect([nsid, authorization, status === 401 || status === 429]).toEqual([
          nsid,
          authorization,
          true,
        ])
      }
    }
    const client = createClient({ service: url, lexicons: relayLexicons })
    const { hostname } = host
    expect(await client.query('com.atproto.sync.getHostStatus', { hostname })).toMatchObject({
      status: 'active',
    })
  })

  it('subscribe a hundred times and read nothing, which costs little memory and holds up nobody', async () => {
    expect((await crawl(host.hostname))[0]).toBe(200)
    const account = await host.createAccount()
    const stalled: Socket[] = []
    for (const path of ['/xrpc/com.atproto.sync.subscribeRepos', '/subscribe']) {
      for (let i = 0; i < 50; i++) {
        const socket = open()
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n` +
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
        )
        const answered = new Promise((resolve) => socket.once('data', resolve))
        await answered
        socket.pause()
        stalled.push(socket)
      }
    }
    await using live = await subscribe(url)
    // Forty megabytes: for a hundred subscribers four thousand.
    for (let i = 0; i < 100; i++) await host.post(account, randomBytes(300_000).toString('base64'))
    await live.until(
      (s) => s.repoEvents().filter((event) => event.type === 'commit').length >= 100,
      'the posts',
    )
    expect(stalled.filter((socket) => socket.destroyed)).toEqual([])
    await expectWell()
  })

  it('ask for 10,000 crawls from 25 addresses and get none, and no memory with them', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 20 })
    stack.defer(() => agent.destroy())
    const answers = new Map<number, number>()
    const ask = (i: number): Promise<void> =>
      new Promise((resolve, reject) => {
        const asking = httpRequest(`${url}/xrpc/com.atproto.sync.requestCrawl`, {
          agent,
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            // As a proxy on this machine would say.
            'x-forwarded-for': `203.0.113.${String(i % 25)}`,
          },
        })
        asking.on('error', reject)
        asking.on('response', (response) => {
          const { statusCode = 0 } = response
          answers.set(statusCode, (answers.get(statusCode) ?? 0) + 1)
          response.resume().on('end', resolve)
        })
        // Nobody listens there.
        asking.end(JSON.stringify({ hostname: `localhost:${String(1 + (i % 900))}` }))
      })
    for (let at = 0; at < 10_000; at += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => ask(at + i)))
    }
    expect([...answers.keys()].toSorted((a, b) => a - b)).toEqual([400, 429])
    expect([...answers.values()].reduce((sum, count) => sum + count)).toBe(10_000)
    const { hosts } = (await (await fetch(`${url}/xrpc/com.atproto.sync.listHosts`)).json()) as {
      readonly hosts: readonly unknown[]
    }
    expect(hosts).toEqual([])
    await expectWell()
    // An honest host, from an address of its own, is let in.
    expect((await crawl(host.hostname))[0]).toBe(200)
  })
})

describe('hosts that mean no good', () => {
  it('cannot fill the relay with what they say of themselves, nor keep it waiting', async () => {
    const chunk = Buffer.alloc(64_000, 'x')
    const endless = await bad({
      describe: (response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write('{"did":"did:web:localhost","x":"')
        const pump = (): void => {
          while (!response.destroyed && response.write(chunk));
          if (!response.destroyed) response.once('drain', pump)
        }
        pump()
      },
    })
    const bomb = await bad({
      describe: (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        response.end(gzipSync(Buffer.alloc(300 * MEGABYTE, ' ')))
      },
    })
    const elsewhere = await bad({
      describe: (response) => {
        response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
      },
    })
    const header = await bad({
      describe: (response) => {
        response.socket?.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(MEGABYTE)}`)
      },
    })
    const silent = await bad({ describe: () => undefined })
    for (const { hostname } of [endless, bomb, elsewhere, header, silent]) {
      expect([hostname, (await crawl(hostname))[0]]).toEqual([hostname, 400])
    }
    expect(endless.sent()).toBeLessThan(20 * MEGABYTE)
    await expectWell()
  })

  it('send junk for events without stopping the others or filling the relay', async () => {
    const did = `did:plc:${'x'.repeat(24)}`
    const text = new TextEncoder()
    const time = '2026-11-21T00:00:00.000Z'
    const junk = randomBytes(50_000)
    const kinds: Readonly<Record<string, NonNullable<BadHostOptions['write']>>> = {
      'bytes that are no WebSocket': () => junk,
      'bytes that are no frame': () => webSocketFrame(2, junk),
      text: () => webSocketFrame(1, text.encode('hello')),
      'frames that are too large': () => webSocketFrame(2, Buffer.alloc(6 * MEGABYTE)),
      'a message that never ends': (i) => webSocketFrame(i === 0 ? 2 : 0, junk, false),
      pings: () => webSocketFrame(9, text.encode('ping')),
      'unknown types': (i) => webSocketFrame(2, encodeMessageFrame('#new', { seq: i + 1, did })),
      'bodies that are none': (i) =>
        webSocketFrame(2, encodeMessageFrame('#commit', { seq: i + 1, repo: did, ops: 'none' })),
      'true news of nobody': (i) =>
        webSocketFrame(2, encodeEvent({ type: 'identity', seq: i + 1, did, time }, i + 1)),
      'numbers that go down': (i) =>
        webSocketFrame(2, encodeEvent({ type: 'identity', seq: 1, did, time }, 1_000_000 - i)),
      'nothing, hanging up': () => undefined,
    }
    const hosts = new Map<string, BadHost>()
    for (const [name, write] of Object.entries(kinds)) hosts.set(name, await bad({ write }))
    expect((await crawl(host.hostname))[0]).toBe(200)
    const account = await host.createAccount()
    await using live = await subscribe(url)
    for (const [name, { hostname }] of hosts) {
      const [status] = await crawl(hostname)
      expect([name, status]).toEqual([name, 200])
    }
    for (let i = 0; i < 40; i++) {
      await host.post(account, `post ${String(i)}`)
      await live.until(
        (s) => s.repoEvents().filter((event) => event.type === 'commit').length > i,
        `post ${String(i)} among the junk`,
      )
    }
    for (const [name, { connections }] of hosts)
      expect([name, connections()]).not.toEqual([name, 0])
    // Nothing of theirs got out.
    expect(live.repoEvents().filter((event) => event.did !== account.did)).toEqual([])
    await expectWell()
    const reasons = new Set<string>()
    const client = createClient({ service: url, lexicons: relayLexicons })
    for (const { hostname } of hosts.values()) {
      const { outcomes = [] } = await client.query('io.github.skywright.relay.getHostReport', {
        hostname,
      })
      for (const { outcome, reason = '' } of outcomes) reasons.add(`${outcome} ${reason}`)
    }
    // Their owners can read why.
    expect([...reasons].toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      expect.arrayContaining([
        'connection invalid-frame',
        'connection lost',
        'rejected invalid-frame',
      ]),
    )
  })
})
