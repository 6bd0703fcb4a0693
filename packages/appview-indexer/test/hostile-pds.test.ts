import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SimulatedNetwork } from '@skywright/firehose/testing'
import type { SimulatedAccount } from '@skywright/firehose/testing'
import { ForbiddenAddressError } from '@skywright/identity'
import { createMemoryResolver } from '@skywright/identity/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'

import { collection, createRepoFetcher, openIndexer } from '../src/index.ts'
import type { Indexer, IndexIssue, RepoReport } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'

const collections = {
  post: collection('app.bsky.feed.post'),
  like: collection('app.bsky.feed.like', { layout: 'edge' }),
}

type Answer = (response: ServerResponse, did: string, path: string) => void | Promise<void>

let network: SimulatedNetwork
let resolver: ReturnType<typeof createMemoryResolver>
const closers: (() => void)[] = []
beforeEach(async () => {
  network = await SimulatedNetwork.create({ accounts: 3, seed: 21, now: Date.now })
  for (let n = 0; n < 60; n++) await network.step()
  resolver = createMemoryResolver()
})
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** A PDS that does as it likes. */
async function serve(answer: Answer): Promise<string> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost')
    response.on('error', () => undefined)
    void answer(response, url.searchParams.get('did') ?? '', url.pathname)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  // A TCP server's address is never the text of a pipe.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const error = (response: ServerResponse, name: string, status = 400): void => {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ error: name }))
}

async function car(account: SimulatedAccount): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of account.repo.export()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function place(account: SimulatedAccount, pds: string): void {
  resolver.setAccount({ did: account.did, signingKey: account.key.publicKey, pds })
}

async function open(
  options: { readonly impatientWith?: string } = {},
  issues: IndexIssue[] = [],
  reports: RepoReport[] = [],
): Promise<Indexer<typeof collections>> {
  const patient = createRepoFetcher({ resolver, fetch })
  const impatient = createRepoFetcher({ resolver, fetch, timeoutMs: 300, maxBytes: 4_000_000 })
  return openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    fetchRepo: (did, asked) => (did === options.impatientWith ? impatient : patient)(did, asked),
    onIssue: (issue) => issues.push(issue),
    onRepo: (report) => reports.push(report),
  })
}

it('is not held up, filled up or misled: slow, endless, wrong and redirecting hosts cost only themselves', async () => {
  const [alice, bob, carol] = network.accounts as [
    SimulatedAccount,
    SimulatedAccount,
    SimulatedAccount,
  ]
  const good = await serve(async (response, did) => {
    response.end(await car(network.accounts.find((account) => account.did === did)!))
  })
  place(carol, good)
  const bytes = await car(alice)
  const flipped = Buffer.from(bytes)
  flipped[bytes.length - 9]! ^= 1
  const answers: Record<string, Answer> = {
    'never answers': () => undefined,
    'never ends': (response) => void response.write(bytes.subarray(0, 100)),
    drips: (response) => {
      let at = 0
      const timer = setInterval(() => response.write(bytes.subarray(at, ++at)), 5)
      response.on('close', () => clearInterval(timer))
    },
    'is endless': (response) => {
      response.write(bytes)
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 1)));
      }
      response.on('drain', more)
      more()
    },
    'is larger than allowed': (response) =>
      void response.end(Buffer.concat([bytes, Buffer.alloc(5_000_000)])),
    'is cut off': (response) => void response.end(bytes.subarray(0, bytes.length / 2)),
    'has a wrong byte': (response) => void response.end(flipped),
    'is of another account': async (response) => void response.end(await car(bob)),
    'is a page': (response) => void response.writeHead(200).end('<html>welcome</html>'),
    'is empty': (response) => void response.end(),
    'redirects inside': (response) =>
      void response.writeHead(302, { location: `${good}/xrpc/x` }).end(),
    'redirects in a circle': (response, _did, path) =>
      void response.writeHead(307, { location: path }).end(),
    fails: (response) => error(response, 'InternalServerError', 500),
    'fails at length': (response) => void response.writeHead(400).end('x'.repeat(3_000_000)),
    'breaks off': (response) => void response.destroy(),
    'knows nothing of it, and yet does': (response, _did, path) => {
      if (path.endsWith('getRepo')) error(response, 'RepoNotFound')
      else response.end(JSON.stringify({ did: alice.did, active: true }))
    },
  }
  let tried = 0
  for (const [name, answer] of Object.entries(answers)) {
    place(alice, await serve(answer))
    const issues: IndexIssue[] = []
    await using index = await open({ impatientWith: alice.did }, issues)
    const result = await index.backfill({ repos: [alice.did, carol.did] })
    expect([name, result]).toEqual([name, { synchronized: 1, failed: 1 }])
    expect(issues).toMatchObject([{ kind: 'repo-failed', did: alice.did, attempt: 1 }])
    expect((await index.actor(alice.did))?.active ?? true).toBe(true)
    expect((await index.actor(carol.did))?.rev).toBeDefined()
    expect((await index.status()).repos).toMatchObject({ synchronized: 1, failed: 1 })
    tried++
  }
  expect(tried).toBe(16)
}, 60_000)

it('gives up on a host that sends nothing, or next to nothing, long before the time for a repo is over', async () => {
  const [alice, bob] = network.accounts as [SimulatedAccount, SimulatedAccount]
  const bytes = await car(alice)
  const slow: Answer[] = [
    () => undefined,
    (response) => void response.write(bytes.subarray(0, 100)),
    (response) => {
      let at = 0
      const timer = setInterval(() => response.write(bytes.subarray(at, ++at)), 5)
      response.on('close', () => clearInterval(timer))
    },
  ]
  const fetchRepo = createRepoFetcher({ resolver, fetch, stallMs: 200 })
  const signal = new AbortController().signal
  let gaveUp = 0
  for (const answer of slow) {
    place(alice, await serve(answer))
    await expect(fetchRepo(alice.did, { signal })).rejects.toThrow(/slow/)
    gaveUp++
  }
  expect(gaveUp).toBe(3)
  // A repo of few bytes that comes at once is none of them, however long it is worked on.
  place(bob, await serve(async (response) => void response.end(await car(bob))))
  const patient = createRepoFetcher({ resolver, fetch, stallMs: 60_000 })
  expect(await patient(bob.did, { signal })).toMatchObject({ kind: 'snapshot' })
}, 60_000)

it('follows an account that moved, and does not take the old host at its word', async () => {
  const [alice, bob] = network.accounts as [SimulatedAccount, SimulatedAccount]
  const serveCar = (account: SimulatedAccount): Promise<string> =>
    serve(async (response) => void response.end(await car(account)))
  const old = await serve((response) => error(response, 'RepoDeactivated'))
  const stale = await car(bob)
  const behind = await serve((response) => void response.end(stale))
  const [aliceNow, bobNow] = [await serveCar(alice), await serveCar(bob)]
  for (let n = 0; n < 20; n++) await network.write(bob)
  place(alice, aliceNow)
  place(bob, bobNow)
  // What is cached names the old hosts; only a fresh look tells where the accounts are.
  const cached = new Map([
    [alice.did, old],
    [bob.did, behind],
  ])
  const reports: RepoReport[] = []
  const fetchRepo = createRepoFetcher({
    fetch,
    resolver: {
      resolveIdentity: async (did, options) => {
        const identity = await resolver.resolveIdentity(did, options)
        return options?.refresh === true ? identity : { ...identity, pds: cached.get(did) ?? '' }
      },
    },
  })
  let now = Date.now()
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    accounts: 'all',
    fetchRepo,
    now: () => now,
    onRepo: (report) => reports.push(report),
  })
  await index.backfill({ repos: [alice.did] })
  expect(await index.actor(alice.did)).toMatchObject({ active: true })
  expect(reports).toMatchObject([{ outcome: 'synchronized', host: new URL(aliceNow).host }])
  // A copy older than what is known is refused; the next try does not believe the cache.
  await index.apply([
    { type: 'commit', seq: 1, did: bob.did, rev: network.clock.next(), since: 'x', ops: [] },
  ])
  await index.backfill({ repos: [bob.did] })
  expect(reports.at(-1)).toMatchObject({ did: bob.did, outcome: 'failed' })
  now += 3_600_000
  for (let n = 0; n < 3; n++) await network.write(bob)
  await index.backfill({ repos: [] })
  expect(reports.at(-1)).toMatchObject({
    did: bob.did,
    outcome: 'synchronized',
    host: new URL(bobNow).host,
  })
})

it('asks one host for few repos at a time, and leaves those of others their place', async () => {
  const [alice, bob, carol] = network.accounts as [
    SimulatedAccount,
    SimulatedAccount,
    SimulatedAccount,
  ]
  let asked = 0
  let most = 0
  const release = Promise.withResolvers<undefined>()
  const crowded = await serve(async (response, did) => {
    most = Math.max(most, ++asked)
    await release.promise
    asked--
    response.end(await car(network.accounts.find((account) => account.did === did)!))
  })
  place(alice, crowded)
  place(bob, crowded)
  place(carol, await serve(async (response) => void response.end(await car(carol))))
  let now = Date.now()
  const reports: RepoReport[] = []
  const carolIsThere = Promise.withResolvers<undefined>()
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    fetchRepo: createRepoFetcher({ resolver, fetch, perHost: 1 }),
    onRepo: (report) => {
      reports.push(report)
      if (report.did === carol.did) carolIsThere.resolve(undefined)
      if (report.outcome === 'busy') release.resolve(undefined)
    },
    now: () => now,
    delay: (delayMs) => {
      now += delayMs
      return Promise.resolve()
    },
  })
  const filling = index.backfill({ repos: [alice.did, bob.did, carol.did], concurrency: 2 })
  await carolIsThere.promise
  expect(await filling).toEqual({ synchronized: 3, failed: 0 })
  expect(most).toBe(1)
  const busy = reports.filter(({ outcome }) => outcome === 'busy')
  expect(busy.length).toBeGreaterThan(0)
  expect(busy[0]?.host).toBe(new URL(crowded).host)
  // One of the crowded host had its turn, one was put off, and nothing counts as a failure.
  expect(reports.filter(({ outcome }) => outcome === 'synchronized')).toHaveLength(3)
}, 60_000)

it('hands a turn at a host on within the second', async () => {
  const [alice, bob] = network.accounts as [SimulatedAccount, SimulatedAccount]
  let asked = 0
  let most = 0
  const pds = await serve(async (response, did) => {
    most = Math.max(most, ++asked)
    const bytes = await car(network.accounts.find((account) => account.did === did)!)
    response.end(bytes, () => asked--)
  })
  place(alice, pds)
  place(bob, pds)
  const fetchRepo = createRepoFetcher({ resolver, fetch, perHost: 1 })
  const { signal } = new AbortController()
  const found = await Promise.all([
    fetchRepo(alice.did, { signal }),
    fetchRepo(bob.did, { signal }),
  ])
  expect(found.map(({ kind }) => kind)).toEqual(['snapshot', 'snapshot'])
  expect(most).toBe(1)
})

it('leaves a host alone for as long as it says, and does not count that as an attempt', async () => {
  const [alice, bob] = network.accounts as [SimulatedAccount, SimulatedAccount]
  let asked = 0
  let answer: Answer = (response) => {
    response.setHeader('retry-after', '120')
    error(response, 'RateLimitExceeded', 429)
  }
  const pds = await serve((response, did, path) => {
    asked++
    return answer(response, did, path)
  })
  place(alice, pds)
  place(bob, pds)
  let now = Date.now()
  const issues: IndexIssue[] = []
  const reports: RepoReport[] = []
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    fetchRepo: createRepoFetcher({ resolver, fetch, now: () => now }),
    now: () => now,
    onIssue: (issue) => issues.push(issue),
    onRepo: (report) => reports.push(report),
  })
  const repos = [alice.did, bob.did]
  expect(await index.backfill({ repos, concurrency: 1 })).toEqual({ synchronized: 0, failed: 2 })
  expect(asked).toBe(1)
  expect(issues).toEqual([])
  expect(reports.map(({ outcome }) => outcome)).toEqual(['busy', 'busy'])
  now += 119_000
  await index.backfill({ repos: [] })
  expect(asked).toBe(1)
  answer = async (response, did) =>
    void response.end(await car(network.accounts.find((account) => account.did === did)!))
  now += 1_000
  expect(await index.backfill({ repos: [] })).toEqual({ synchronized: 2, failed: 0 })
  expect((await index.status()).repos).toMatchObject({ synchronized: 2, failed: 0 })
  // No host is believed for ever.
  answer = (response) => {
    response.setHeader('retry-after', '999999999')
    error(response, 'RateLimitExceeded', 503)
  }
  const fetchRepo = createRepoFetcher({ resolver, fetch })
  const { signal } = new AbortController()
  const busy = { kind: 'busy', host: new URL(pds).host, retryAfterMs: 3_600_000 }
  expect(await fetchRepo(alice.did, { signal })).toEqual(busy)
  // A service that is merely down is tried as one that fails.
  answer = (response) => error(response, 'InternalServerError', 503)
  const other = createRepoFetcher({ resolver, fetch })
  await expect(other(alice.did, { signal })).rejects.toThrow(/status=503/)
})

it('leaves a host alone at once, those included that wait for their turn, however its answer ends', async () => {
  const [alice, bob] = network.accounts as [SimulatedAccount, SimulatedAccount]
  let asked = 0
  const waits = Promise.withResolvers<undefined>()
  const pds = await serve(async (response) => {
    asked++
    await waits.promise
    response.writeHead(429, { 'retry-after': '120' })
    // Its explanation never ends.
    response.write('{')
  })
  place(alice, pds)
  place(bob, pds)
  const now = Date.now()
  const fetchRepo = createRepoFetcher({ resolver, fetch, perHost: 1, now: () => now })
  const { signal } = new AbortController()
  const both = [fetchRepo(alice.did, { signal }), fetchRepo(bob.did, { signal })]
  await new Promise((resolve) => setImmediate(resolve))
  waits.resolve(undefined)
  const busy = { kind: 'busy', host: new URL(pds).host, retryAfterMs: 120_000 }
  expect((await Promise.all(both))[0]).toEqual(busy)
  expect((await both[1])?.kind).toBe('busy')
  expect(asked).toBe(1)
})

it('understands every form of being asked to wait, and takes none of it for an answer about the account', async () => {
  const [alice] = network.accounts as [SimulatedAccount]
  const now = Date.parse('2026-03-01T00:00:00Z')
  const pauses: readonly (readonly [number, string | undefined, number])[] = [
    [429, '7', 7_000],
    [429, '0', 1_000],
    [503, 'Sun, 01 Mar 2026 00:02:00 GMT', 120_000],
    [429, 'Sun, 01 Mar 2020 00:00:00 GMT', 1_000],
    [429, 'Fri, 01 Mar 2126 00:00:00 GMT', 3_600_000],
    ...['-5', 'soon', '1.5', '1e3', 'GMT', '99999999999999999999'].map(
      (junk) => [429, junk, 60_000] as const,
    ),
    [429, undefined, 60_000],
  ]
  for (const [status, after, retryAfterMs] of pauses)
    for (const path of ['getRepo', 'getRepoStatus']) {
      const pds = await serve((response, _did, asked) => {
        if (!asked.endsWith(`.${path}`)) return error(response, 'RepoNotFound')
        if (after !== undefined) response.setHeader('retry-after', after)
        error(response, 'RepoNotFound', status)
      })
      place(alice, pds)
      const fetchRepo = createRepoFetcher({ resolver, fetch, now: () => now })
      const { signal } = new AbortController()
      const busy = { kind: 'busy', host: new URL(pds).host, retryAfterMs }
      expect(await fetchRepo(alice.did, { signal }), `${path} ${status} ${after}`).toEqual(busy)
    }
  for (const perHost of [0, Number.NaN, -1, 1.5])
    expect(() => createRepoFetcher({ resolver, fetch, perHost })).toThrow(RangeError)
})

it('ends a backfill though a host puts it off for a moment again and again', async () => {
  const [alice, bob] = network.accounts as [SimulatedAccount, SimulatedAccount]
  let asked = 0
  const pds = await serve((response) => {
    asked++
    response.setHeader('retry-after', '1')
    error(response, 'RateLimitExceeded', 429)
  })
  place(alice, pds)
  place(bob, await serve(async (response) => void response.end(await car(bob))))
  let now = Date.now()
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    fetchRepo: createRepoFetcher({ resolver, fetch, now: () => now }),
    now: () => now,
    delay: (delayMs) => {
      now += delayMs
      return Promise.resolve()
    },
  })
  const repos = [alice.did, bob.did]
  expect(await index.backfill({ repos })).toEqual({ synchronized: 1, failed: 1 })
  expect(asked).toBeGreaterThan(3)
  // It is still to be had.
  expect((await index.status()).repos).toMatchObject({ queued: 1, failed: 0 })
})

it('purges only what the account its own host does not know', async () => {
  const [alice] = network.accounts as [SimulatedAccount]
  place(alice, await serve((response) => error(response, 'RepoNotFound')))
  await using index = await open()
  await index.backfill({ repos: [alice.did] })
  expect(await index.actor(alice.did)).toMatchObject({ active: false, status: 'deleted' })
})

it('asks no host inside the network it runs in, unless it is handed a fetch that does', async () => {
  const [alice] = network.accounts as [SimulatedAccount]
  let asked = 0
  const inside = await serve(async (response) => {
    asked++
    response.end(await car(alice))
  })
  place(alice, inside)
  const fetchRepo = createRepoFetcher({ resolver })
  const signal = new AbortController().signal
  await expect(fetchRepo(alice.did, { signal })).rejects.toThrow(ForbiddenAddressError)
  expect(asked).toBe(0)
  const trusting = createRepoFetcher({ resolver, fetch })
  expect(await trusting(alice.did, { signal })).toMatchObject({ kind: 'snapshot' })
  expect(asked).toBe(1)
})
