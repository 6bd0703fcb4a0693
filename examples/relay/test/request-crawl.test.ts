import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startFakeHost } from './support/host.ts'
import { ADMIN_HEADERS, startTestNetwork, type TestNetwork } from './support/relay.ts'

let stack: AsyncDisposableStack

beforeEach(() => {
  stack = new AsyncDisposableStack()
})

afterEach(() => stack.disposeAsync())

async function start(...options: Parameters<typeof startTestNetwork>): Promise<TestNetwork> {
  return stack.use(await startTestNetwork(...options))
}

function problem(network: TestNetwork, hostname: string): Promise<object> {
  return network.requestCrawl(hostname).then(
    () => ({ error: 'none' }),
    (error: object) => error,
  )
}

describe('requestCrawl', () => {
  it('follows a host once, however often it is asked', async () => {
    const network = await start()
    const host = await network.startHost()
    await Promise.all([network.requestCrawl(host.hostname), network.requestCrawl(host.hostname)])
    await network.requestCrawl(host.hostname.toUpperCase())
    expect(host.connections()).toBe(1)
    const { hosts } = await network.client.query('com.atproto.sync.listHosts')
    expect(hosts).toEqual([{ hostname: host.hostname, accountCount: 0, status: 'active' }])
  })

  it('starts a new host live, not at its beginning', async () => {
    const network = await start()
    const host = await network.startHost()
    await host.createAccount()
    await network.requestCrawl(host.hostname)
    expect(host.cursors).toEqual([undefined])
  })

  it.each(['http://localhost:1', 'localhost:1/x', '', 'a b', '[::1]:3'])(
    'refuses %j as a hostname',
    async (hostname) => {
      const network = await start()
      expect(await problem(network, hostname)).toMatchObject({
        status: 400,
        error: 'InvalidRequest',
      })
    },
  )

  it('refuses ports, addresses and local names outside development', async () => {
    const network = await start({ development: false })
    for (const hostname of ['localhost:80', 'localhost', '127.0.0.1', '10.1.2.3', 'pds.internal']) {
      expect(await problem(network, hostname)).toMatchObject({ error: 'InvalidRequest' })
    }
    expect((await network.client.query('com.atproto.sync.listHosts')).hosts).toEqual([])
  })

  it('connects to no address that is not public, whatever name leads there and whoever named it', async () => {
    const inside = ['127.0.0.1', '10.0.0.7', '192.168.1.1', '169.254.169.254', '100.64.0.1']
    inside.push('0.0.0.0', '::1', 'fd00::7', 'fe80::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1')
    const asked: string[] = []
    const network = await start(
      { development: false, initialHosts: ['first.example.com'] },
      {
        // A directory of names that somebody controls who wants to know what is inside.
        resolveAddresses: (hostname) => {
          asked.push(hostname)
          const index = Number(/^pds(\d+)\./.exec(hostname)?.[1] ?? 0)
          const address = inside[index] ?? ''
          return Promise.resolve([{ address, family: address.includes(':') ? 6 : 4 }])
        },
      },
    )
    for (const [index, address] of inside.entries()) {
      const hostname = `pds${String(index)}.example.com`
      const refusal = await problem(network, hostname)
      expect([address, refusal]).toMatchObject([
        address,
        {
          status: 400,
          message: expect.stringMatching(/could not be reached.*address refused/) as string,
        },
      ])
      expect(asked).toContain(hostname)
    }
    // The operator's own list is no way around it: not even the firehose is tried there.
    await network.until(async () => {
      const { incidents = [] } = await network.client.query(
        'io.github.skywright.relay.getHostReport',
        { hostname: 'first.example.com' },
      )
      return incidents.some(({ detail = '' }) => detail.includes('address refused'))
    }, 'the refusal to connect')
  })

  it('refuses a host that is not there, is no PDS, or is a relay', async () => {
    const network = await start()
    const { plc } = network
    const bad = [
      await startFakeHost({ plc, description: 'not JSON' }),
      await startFakeHost({ plc, description: '{"did":7}' }),
      await startFakeHost({ plc, description: `{"did":"did:web:a","x":"${'x'.repeat(100_000)}"}` }),
      await startFakeHost({ plc, server: 'skywright-relay' }),
    ]
    for (const host of bad) stack.use(host)
    const gone = await startFakeHost({ plc })
    await gone[Symbol.asyncDispose]()
    for (const { hostname } of [...bad, gone]) {
      expect(await problem(network, hostname)).toMatchObject({
        status: 400,
        error: 'InvalidRequest',
      })
    }
    expect(await problem(network, bad[3]?.hostname ?? '')).toMatchObject({
      message: expect.stringContaining('is a relay') as string,
    })
    // The relay itself is a relay too.
    const self = `localhost:${String(network.relay.port)}`
    expect(await problem(network, self)).toMatchObject({ error: 'InvalidRequest' })
    for (const host of bad) expect(host.connections()).toBe(0)
  })

  it('answers HostBanned for a banned host and a banned domain, and lets a host back in', async () => {
    const network = await start({ bannedDomains: ['bad.test'] })
    expect(await problem(network, 'pds.bad.test')).toMatchObject({ error: 'HostBanned' })
    const host = await network.startHost()
    const { hostname } = host
    await network.requestCrawl(hostname)
    const ban = (banned: boolean): Promise<unknown> =>
      network.client.procedure(
        'io.github.skywright.relay.updateHost',
        { hostname, banned },
        { headers: ADMIN_HEADERS },
      )
    await ban(true)
    expect(await problem(network, hostname)).toMatchObject({ status: 400, error: 'HostBanned' })
    expect(
      await network.client.query('com.atproto.sync.getHostStatus', { hostname }),
    ).toMatchObject({ status: 'banned' })
    await network.restart()
    expect(host.connections()).toBe(1)
    await ban(false)
    await network.requestCrawl(hostname)
    expect(host.connections()).toBe(2)
  })

  it('looks at so many hosts at once and at no more, whoever asks', async () => {
    let waiting: (() => void)[] = []
    const network = await start(
      {},
      {
        fetch: () =>
          new Promise((resolve) => {
            waiting.push(() => resolve(new Response('{}', { status: 404 })))
          }),
      },
    )
    const ask = async (hostname: string): Promise<number> => {
      const response = await fetch(`${network.relay.url}/xrpc/com.atproto.sync.requestCrawl`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ hostname }),
      })
      return response.status
    }
    const asking = Array.from({ length: 30 }, (_, i) => ask(`pds${String(i)}.example.com`))
    let settled = 0
    for (const one of asking) void one.then(() => settled++)
    await network.until(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return waiting.length >= 20 && waiting.length + settled === 30
    }, '20 looks')
    expect(waiting).toHaveLength(20)
    const release = (): void => {
      for (const resolve of waiting) resolve()
      waiting = []
    }
    release()
    const answers = await Promise.all(asking)
    expect(answers.filter((status) => status === 429)).toHaveLength(10)
    expect(answers.filter((status) => status === 400)).toHaveLength(20)
    const next = ask('pds99.example.com')
    await network.until(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return waiting.length === 1
    }, 'the next look')
    release()
    expect(await next).toBe(400)
  })

  it('limits new hosts per day, and calls per caller', async () => {
    let now = Date.now()
    const network = await start({ newHostsPerDay: 1 }, { now: () => now })
    const [one, two] = [await network.startHost(), await network.startHost()]
    await network.requestCrawl(one.hostname)
    expect(await problem(network, two.hostname)).toMatchObject({
      status: 429,
      error: 'RateLimitExceeded',
    })
    await expect(
      network.client.procedure(
        'com.atproto.sync.requestCrawl',
        { hostname: two.hostname },
        { headers: { authorization: 'Basic wrong' } },
      ),
    ).rejects.toMatchObject({ status: 401 })
    const three = await network.startHost()
    await network.client.procedure(
      'com.atproto.sync.requestCrawl',
      { hostname: three.hostname },
      { headers: ADMIN_HEADERS },
    )
    // A known host is no new host.
    await network.requestCrawl(one.hostname)
    now += 86_400_001
    await network.requestCrawl(two.hostname)
    let last: object = {}
    for (let i = 0; i < 70; i++) last = await problem(network, one.hostname)
    expect(last).toMatchObject({ status: 429, retryAfterSeconds: expect.any(Number) as number })
  })
})
