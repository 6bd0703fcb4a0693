import { once } from 'node:events'
import { connect } from 'node:net'
import { commitEvent } from '@skywright/firehose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startFakeHost } from './support/host.ts'
import { ADMIN_HEADERS, startTestNetwork, type TestNetwork } from './support/relay.ts'
import { subscribe } from './support/subscriber.ts'

let stack: AsyncDisposableStack
let network: TestNetwork

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startTestNetwork())
})

afterEach(() => stack.disposeAsync())

describe('hosts', () => {
  it('are followed again after a restart, from where they were', async () => {
    const host = await network.startHost()
    await network.requestCrawl(host.hostname)
    await using live = await subscribe(network.relay.url)
    const account = await host.createAccount()
    await live.until((s) => s.repoEvents().length === 3, 'the account')
    await network.restart()
    const missed = await host.post(account, 'while away')
    await using replay = await subscribe(network.relay.url, 0)
    await replay.until((s) => s.repoEvents().length === 4, 'everything')
    expect(replay.repoEvents().at(-1)).toMatchObject({ type: 'commit', rev: missed.rev })
    expect(host.cursors).toEqual([undefined, 3])
  })

  it('are reconnected after a lost connection, without gap or double', async () => {
    const host = await network.startHost()
    await network.requestCrawl(host.hostname)
    const account = await host.createAccount()
    await using live = await subscribe(network.relay.url, 0)
    for (let round = 0; round < 3; round++) {
      await host.post(account, 'before')
      host.disconnect()
      await host.post(account, 'after')
      // Asking again makes the relay try at once.
      await network.requestCrawl(host.hostname)
    }
    await live.until((s) => s.repoEvents().length >= 9, 'everything')
    expect(live.repoEvents()).toHaveLength(9)
    expect(host.connections()).toBeGreaterThanOrEqual(2)
  })

  it('that are gone are offered another try by the next requestCrawl, on the same cursor', async () => {
    const { plc } = network
    const first = await startFakeHost({ plc })
    const port = Number(first.hostname.split(':')[1])
    await network.requestCrawl(first.hostname)
    const account = await first.createAccount()
    await using live = await subscribe(network.relay.url, 0)
    await live.until((s) => s.repoEvents().length === 3, 'the account')
    await first[Symbol.asyncDispose]()
    const { hostname } = first
    await expect(network.requestCrawl(hostname)).rejects.toThrow(/could not be reached/)

    // The same name, back with a new and shorter sequence: nobody guesses what is missing.
    const second = stack.use(await startFakeHost({ plc, port }))
    await network.requestCrawl(hostname)
    expect(second.cursors[0]).toBe(3)
    const reasons = async (): Promise<readonly string[]> => {
      const { incidents = [] } = await network.client.query(
        'io.github.skywright.relay.getHostReport',
        { hostname },
      )
      return incidents.map((incident) => incident.reason)
    }
    await network.until(async () => (await reasons()).includes('future-cursor'), 'the refusal')
    await network.requestCrawl(hostname)
    expect(second.cursors.at(-1)).toBeUndefined()
    expect(account.did).toMatch(/^did:plc:/)
    const next = await second.createAccount()
    await live.until((s) => s.repoEvents().some((event) => event.did === next.did), 'new events')
  })

  it('have a report anybody can read, and settings only the admin can change', async () => {
    const host = await network.startHost()
    const { hostname } = host
    await network.requestCrawl(hostname)
    const report = await network.client.query('io.github.skywright.relay.getHostReport', {
      hostname: hostname.toUpperCase(),
    })
    expect(report).toMatchObject({ hostname, enforcement: 'enforce', accountLimit: 100 })
    const unknown = { hostname: 'unknown.example.com' }
    await expect(
      network.client.query('io.github.skywright.relay.getHostReport', unknown),
    ).rejects.toMatchObject({ error: 'HostNotFound' })
    await expect(
      network.client.query('com.atproto.sync.getHostStatus', unknown),
    ).rejects.toMatchObject({ status: 400, error: 'HostNotFound' })
    const change = { hostname, enforcement: 'observe' as const, accountLimit: 5 }
    await expect(
      network.client.procedure('io.github.skywright.relay.updateHost', change),
    ).rejects.toMatchObject({ status: 401 })
    await network.client.procedure('io.github.skywright.relay.updateHost', change, {
      headers: ADMIN_HEADERS,
    })
    await network.restart()
    expect(
      await network.client.query('io.github.skywright.relay.getHostReport', { hostname }),
    ).toMatchObject({ enforcement: 'observe', accountLimit: 5 })
    await expect(
      network.client.procedure(
        'io.github.skywright.relay.updateHost',
        { ...unknown, banned: true },
        { headers: ADMIN_HEADERS },
      ),
    ).rejects.toMatchObject({ error: 'HostNotFound' })
  })
})

describe('the account limit of a host', () => {
  it('grows by itself with age and a clean record, and not once an operator set it', async () => {
    let now = Date.now()
    await using growing = await startTestNetwork({ accountLimit: 10 }, { now: () => now })
    const [young, chosen, liar] = [
      await growing.startHost(),
      await growing.startHost(),
      await growing.startHost(),
    ]
    await using live = await subscribe(growing.relay.url)
    for (const { hostname } of [young, chosen, liar]) await growing.requestCrawl(hostname)
    for (const one of [young, chosen]) await one.createAccount()
    const account = await liar.createAccount()
    const { commit } = await account.repo.applyWrites([
      {
        action: 'create',
        collection: 'app.bsky.feed.post',
        rkey: 'one',
        record: { $type: 'app.bsky.feed.post' },
      },
    ])
    if (commit === undefined) throw new Error('no commit')
    const truth = commitEvent(commit, new Date(now).toISOString())
    await liar.emit({ ...truth, ops: [] })
    await liar.emit(truth)
    await live.until((s) => s.repoEvents().length === 10, 'the events')
    const accountLimit = 15
    await growing.client.procedure(
      'io.github.skywright.relay.updateHost',
      { hostname: chosen.hostname, accountLimit },
      { headers: ADMIN_HEADERS },
    )
    const limits = async (): Promise<readonly number[]> =>
      await Promise.all(
        [young, chosen, liar].map(async ({ hostname }) => {
          const report = await growing.client.query('io.github.skywright.relay.getHostReport', {
            hostname,
          })
          return report.accountLimit
        }),
      )
    await growing.relay.keepHouse()
    expect(await limits()).toEqual([10, 15, 10])
    now += 3 * 86_400_000
    await growing.relay.keepHouse()
    expect(await limits()).toEqual([80, 15, 10])
  })
})

describe('the stream', () => {
  it('answers a cursor of the future with an error', async () => {
    await using future = await subscribe(network.relay.url, Number.MAX_SAFE_INTEGER)
    await future.until((s) => s.errors.length > 0, 'an error')
    expect(future.errors).toEqual(['FutureCursor'])
    await future.closed
  })

  it('has room for so many subscribers and refuses the next one', async () => {
    await using small = await startTestNetwork({ maxSubscribers: 2 })
    await using first = await subscribe(small.relay.url)
    await using second = await subscribe(small.relay.url)
    await expect(subscribe(small.relay.url)).rejects.toThrow(/503/)
    await first[Symbol.asyncDispose]()
    await small.until(async () => {
      const metrics = await (await fetch(`${small.relay.url}/metrics`)).text()
      return metrics.includes('relay_subscribers 1\n')
    }, 'one to be gone')
    await using third = await subscribe(small.relay.url)
    expect(third.events).toEqual(second.events)
  })

  it('tells a cursor below the window that it missed something', async () => {
    let now = Date.now()
    await using old = await startTestNetwork({ retentionHours: 1 }, { now: () => now })
    const host = await old.startHost()
    await old.requestCrawl(host.hostname)
    const account = await host.createAccount()
    await using live = await subscribe(old.relay.url, 0)
    await live.until((s) => s.repoEvents().length === 3, 'the account')
    now += 2 * 3_600_000
    await host.post(account, 'fresh')
    await live.until((s) => s.repoEvents().length === 4, 'a post')
    await old.relay.keepHouse()
    await using late = await subscribe(old.relay.url, (live.repoEvents()[0]?.seq ?? 0) + 1)
    await late.until((s) => s.repoEvents().length === 1, 'the rest')
    expect(late.events).toMatchObject([
      { type: 'info', name: 'OutdatedCursor' },
      { type: 'commit', seq: live.repoEvents()[3]?.seq },
    ])
  })
})

describe('bad input', () => {
  /** Sends an upgrade request by hand; gives the status line of the answer. */
  async function upgrade(target: string): Promise<string> {
    const socket = connect(network.relay.port, '127.0.0.1')
    socket.write(
      `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
    const [data] = (await once(socket, 'data')) as [Uint8Array]
    socket.destroy()
    return new TextDecoder().decode(data).split('\r\n')[0] ?? ''
  }

  it('is refused, and the relay stays up', async () => {
    const stream = '/xrpc/com.atproto.sync.subscribeRepos'
    expect(await upgrade('//')).toBe('HTTP/1.1 404 Not Found')
    expect(await upgrade('/xrpc/com.example.nothing')).toBe('HTTP/1.1 404 Not Found')
    for (const cursor of ['x', '-1', '1.5', '9'.repeat(30), '']) {
      expect(await upgrade(`${stream}?cursor=${cursor}`)).toBe('HTTP/1.1 400 Bad Request')
    }
    expect(await upgrade(`${stream}?cursor=0`)).toBe('HTTP/1.1 101 Switching Protocols')
    const get = async (path: string): Promise<number> =>
      (await fetch(`${network.relay.url}${path}`)).status
    expect(await get(stream)).toBe(426)
    expect(await get('/xrpc/com.atproto.sync.getRepoStatus?did=nonsense')).toBe(400)
    expect(await get('/xrpc/com.atproto.sync.listRepos?limit=0')).toBe(400)
    expect(await get('/xrpc/com.atproto.sync.listHosts?limit=1001')).toBe(400)
    expect(await get('/xrpc/com.atproto.sync.listReposByCollection?collection=x')).toBe(400)
    expect(await get('/hosts/%ff')).toBe(400)
    const page = await fetch(`${network.relay.url}/hosts/%ff`)
    expect(await page.text()).not.toContain('node_modules')
    const post = async (body: string, type = 'application/json'): Promise<number> => {
      const url = `${network.relay.url}/xrpc/com.atproto.sync.requestCrawl`
      return (await fetch(url, { method: 'POST', body, headers: { 'content-type': type } })).status
    }
    expect(await post('{')).toBe(400)
    expect(await post('{"hostname":7}')).toBe(400)
    expect(await post('{}')).toBe(400)
    expect(await post('{}', 'text/plain')).toBe(415)
    expect(await get('/xrpc/_health')).toBe(200)
  })
})

describe('pages and answers for machines', () => {
  it('serve health, readiness, metrics and the pages of a host', async () => {
    const host = await network.startHost()
    await network.requestCrawl(host.hostname)
    await using live = await subscribe(network.relay.url)
    await host.createAccount()
    await live.until((s) => s.repoEvents().length === 3, 'the account')
    const get = async (path: string): Promise<readonly [number, string]> => {
      const response = await fetch(`${network.relay.url}${path}`)
      return [response.status, await response.text()]
    }
    expect(await get('/xrpc/_health')).toEqual([200, '{"version":"skywright"}'])
    expect(await get('/readyz')).toEqual([200, 'ready'])
    const [, metrics] = await get('/metrics')
    expect(metrics).toContain('relay_events_total{outcome="accepted",reason=""} 3\n')
    expect(metrics).toContain('relay_hosts{status="active"} 1\n')
    expect(metrics).toContain('relay_accounts 1\n')
    expect(metrics).toContain('relay_subscribers 1\n')
    expect(await get('/')).toEqual([200, expect.stringContaining(host.hostname)])
    const page = `/hosts/${encodeURIComponent(host.hostname)}`
    expect(await get(page)).toEqual([200, expect.stringContaining('accepted')])
    expect(await get(`/hosts?hostname=${host.hostname}`)).toEqual(await get(page))
    expect(await get('/hosts/unknown.example.com')).toEqual([
      404,
      expect.stringContaining('not followed'),
    ])
    expect((await get('/xrpc/com.atproto.server.describeServer'))[0]).toBe(501)
    expect((await get('/nowhere'))[0]).toBe(404)
  })
})
