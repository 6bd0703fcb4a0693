import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readConfig, type RunningRelay, startReplica } from '../src/index.ts'
import type { FakeAccount, FakeHost } from './support/host.ts'
import { end, freePort, startProcess } from './support/process.ts'
import { ADMIN_HEADERS, startTestNetwork, type TestNetwork } from './support/relay.ts'
import { type Subscriber, subscribe } from './support/subscriber.ts'

let stack: AsyncDisposableStack
let network: TestNetwork
let host: FakeHost
let account: FakeAccount
let now = 0

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  now = Date.now()
  network = stack.use(await startTestNetwork({ retentionHours: 1 }, { now: () => now }))
  host = await network.startHost()
  await network.requestCrawl(host.hostname)
  account = await host.createAccount()
})

afterEach(() => stack.disposeAsync())

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'relay-replica-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function start(dataDirectory: string, upstream = network.relay.url): Promise<RunningRelay> {
  const replica = await startReplica({
    ...readConfig({}),
    port: 0,
    dataDirectory,
    upstream,
    logLevel: 'silent',
  })
  await network.until(async () => (await lastSeq(replica.url)) > 0, 'the first event')
  return replica
}

/** Everything a relay or a replica has, from the beginning of its window, read by a subscriber that then leaves. */
async function replay(url: string, count: number, cursor = 0): Promise<readonly Uint8Array[]> {
  await using reader = await subscribe(url, cursor)
  await reader.until((s) => s.repoEvents().length >= count, `${String(count)} events`)
  return [...reader.frames]
}

async function ready(url: string): Promise<readonly [number, string]> {
  const response = await fetch(`${url}/readyz`)
  return [response.status, await response.text()]
}

async function post(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await host.post(account, `post ${String(i)}`)
}

describe('a replica', () => {
  it('serves the same bytes under the same numbers, from the window and live', async () => {
    await post(5)
    await using replica = await start(scratch())
    const before = await replay(network.relay.url, 8)
    expect(await replay(replica.url, 8)).toEqual(before)
    await using live: Subscriber = await subscribe(replica.url)
    await using upstream = await subscribe(network.relay.url)
    await post(5)
    await live.until((s) => s.repoEvents().length === 5, 'live events')
    await upstream.until((s) => s.repoEvents().length === 5, 'live events upstream')
    expect(live.frames).toEqual(upstream.frames)
    // A subscriber goes from one to the other with its cursor, back and forth.
    const { seq = 0 } = live.repoEvents()[1] ?? {}
    expect(await replay(replica.url, 3, seq)).toEqual(upstream.frames.slice(2))
    expect(await replay(network.relay.url, 3, seq)).toEqual(upstream.frames.slice(2))
  })

  it('can be copied itself', async () => {
    await post(5)
    await using first = await start(scratch())
    await using second = await start(scratch(), first.url)
    expect(await replay(second.url, 8)).toEqual(await replay(network.relay.url, 8))
  })

  it('continues after a restart behind what it has, also while the upstream is away', async () => {
    const directory = scratch()
    {
      await using replica = await start(directory)
      await replay(replica.url, 3)
    }
    await post(3)
    {
      await using replica = await start(directory)
      expect(await replay(replica.url, 6)).toEqual(await replay(network.relay.url, 6))
    }
    const nobody = `http://127.0.0.1:${String(await freePort())}`
    await using replica = await start(directory, nobody)
    expect(await replay(replica.url, 6)).toEqual(await replay(network.relay.url, 6))
    expect((await ready(replica.url))[0]).toBe(503)
  })

  it('empties its window of an account that is taken down, and keeps it so', async () => {
    const other = await host.createAccount()
    await host.post(other, 'stays')
    await post(4)
    const directory = scratch()
    let announced = new Uint8Array()
    {
      await using replica = await start(directory)
      await replay(replica.url, 11)
      await using live = await subscribe(replica.url)
      await network.client.procedure(
        'com.atproto.admin.updateSubjectStatus',
        {
          subject: { $type: 'com.atproto.admin.defs#repoRef', did: account.did },
          takedown: { applied: true },
        },
        { headers: ADMIN_HEADERS },
      )
      await live.until((s) => s.repoEvents().length === 1, 'the announcement')
      expect(live.repoEvents()).toMatchObject([{ type: 'account', status: 'takendown' }])
      announced = new Uint8Array(live.frames[0] ?? [])
      const left = await replay(replica.url, 5)
      expect(left).toHaveLength(5)
      expect(left.at(-1)).toEqual(announced)
      expect(left).toEqual(await replay(network.relay.url, 5))
    }
    await using replica = await start(directory)
    const left = await replay(replica.url, 5)
    expect(left).toHaveLength(5)
    expect(left.at(-1)).toEqual(announced)
  })

  it('gives up its window rather than hiding a gap in it', async () => {
    const directory = scratch()
    let old: readonly Uint8Array[] = []
    {
      await using replica = await start(directory)
      await post(3)
      old = await replay(replica.url, 6)
    }
    await post(3)
    await using live = await subscribe(network.relay.url, 0)
    await live.until((s) => s.repoEvents().length === 9, 'the lost ones')
    now += 2 * 3_600_000
    await post(2)
    await live.until((s) => s.repoEvents().length === 11, 'the fresh ones')
    await network.relay.keepHouse()

    await using replica = await start(directory)
    const tip = live.repoEvents()[10]?.seq
    await network.until(async () => (await lastSeq(replica.url)) === tip, 'the tip')
    const seen = live.repoEvents()[4]?.seq ?? 0
    await using late = await subscribe(replica.url, seen)
    await late.until((s) => s.repoEvents().length === 2, 'the rest')
    expect(late.events[0]).toMatchObject({ type: 'info', name: 'OutdatedCursor' })
    expect(late.repoEvents()).toEqual(live.repoEvents().slice(9))
    expect(old).toHaveLength(6)
  })

  it('waits for an event that a subscriber has already, from a sibling that was quicker', async () => {
    await using replica = await start(scratch())
    await replay(replica.url, 3)
    const ahead = subscribe(replica.url, 1 + (await lastSeq(replica.url)))
    await post(2)
    await using waiting = await ahead
    await waiting.until((s) => s.repoEvents().length === 1, 'the second post')
    expect(waiting.errors).toEqual([])
  })

  it('sends whoever asks something else to the upstream, and says whether it works', async () => {
    await using replica = await start(scratch())
    await replay(replica.url, 3)
    const listed = await fetch(`${replica.url}/xrpc/com.atproto.sync.listRepos?limit=1`)
    expect(await listed.json()).toMatchObject({ repos: [{ did: account.did }] })
    const other = await network.startHost()
    const crawl = await fetch(`${replica.url}/xrpc/com.atproto.sync.requestCrawl`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ hostname: other.hostname }),
    })
    expect(crawl.status).toBe(200)
    expect(other.connections()).toBe(1)
    for (const path of ['//evil.example/x', '/\\evil.example', '/%2f%2fevil.example']) {
      const { headers } = await fetch(`${replica.url}${path}`, { redirect: 'manual' })
      expect(new URL(headers.get('location') ?? '').origin).toBe(network.relay.url)
    }
    expect(await ready(replica.url)).toEqual([200, 'ready'])
    const metrics = await (await fetch(`${replica.url}/metrics`)).text()
    expect(metrics).toContain('relay_upstream_connected 1\n')
    expect(metrics).toMatch(/relay_last_seq [0-9]{16}\n/)
    // A relay does not crawl the copy of a relay.
    const { hostname, port } = new URL(replica.url)
    await expect(network.requestCrawl(`${hostname}:${port}`)).rejects.toMatchObject({
      error: 'InvalidRequest',
    })
  })

  it('has every event once after it was killed again and again', { timeout: 60_000 }, async () => {
    const directory = scratch()
    const env = {
      RELAY_PORT: '0',
      RELAY_DATA_DIRECTORY: directory,
      RELAY_LOG_LEVEL: 'warn',
    }
    let sent = 3
    for (let kill = 0; kill < 3; kill++) {
      const replica = await startProcess(env, ['--upstream', network.relay.url])
      stack.defer(() => void replica.child.kill('SIGKILL'))
      await network.until(async () => (await lastSeq(replica.url)) > 0, 'the first event')
      await using live = await subscribe(replica.url, 0)
      const quota = sent + 3 + kill * 5
      const dying = live
        .until((s) => s.repoEvents().length >= quota, 'events before a kill')
        .then(() => end(replica.child, 'SIGKILL'))
      await post(25)
      sent += 25
      await dying
    }
    const replica = await startProcess(env, ['--upstream', network.relay.url])
    const frames = await replay(replica.url, sent)
    expect(frames).toHaveLength(sent)
    expect(frames).toEqual(await replay(network.relay.url, sent))
    expect(await end(replica.child, 'SIGTERM')).toBe(0)
  })
})

async function lastSeq(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return Number(/relay_last_seq ([0-9]+)/.exec(metrics)?.[1])
}
