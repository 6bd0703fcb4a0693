import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { verifyRepo } from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import type { RepoEvent } from '../src/event.ts'
import { createMemoryCursorStore } from '../src/cursor-store.ts'
import { diffRepo } from '../src/resync/diff-repo.ts'
import { createRepoFetch, fetchRepo } from '../src/resync/fetch-repo.ts'
import { listRepos } from '../src/resync/list-repos.ts'
import type { FetchLike } from '../src/resync/request.ts'
import { openSqliteSyncStore } from '../src/resync/sqlite-sync-store.ts'
import { createMemorySyncStore } from '../src/resync/sync-store.ts'
import { runRepos } from '../src/run.ts'
import type { FirehoseIssue, StreamEvent } from '../src/stream-event.ts'
import { createFakeClock, SimulatedNetwork } from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'
import { contents } from './support/contents.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const service = 'https://pds0.test'

/** The HTTP side of the simulated hosts. */
function hostsOf(
  network: SimulatedNetwork,
  before: (
    url: URL,
    signal: AbortSignal,
  ) => Response | undefined | Promise<Response | undefined> = () => undefined,
) {
  const requests: string[] = []
  const fetch: FetchLike = async (text, { signal }) => {
    const url = new URL(text)
    requests.push(text)
    const answer = await before(url, signal)
    if (answer !== undefined) return answer
    const host = network.hosts.find((one) => one.hostname === url.host)
    if (host === undefined) throw new TypeError('no such host')
    if (url.pathname === '/xrpc/com.atproto.sync.listRepos') {
      const cursor = url.searchParams.get('cursor') ?? ''
      const dids = network.accounts
        .filter((account) => account.host === host && account.did > cursor)
        .map((account) => account.did)
        .toSorted()
      const page = dids.slice(0, 3)
      return Response.json({
        repos: page.map((did) => ({ did, head: 'x', rev: 'x', active: true })),
        ...(dids.length > 3 ? { cursor: page.at(-1) } : {}),
      })
    }
    const account = network.accounts.find(
      (one) => one.did === url.searchParams.get('did') && one.host === host,
    )
    if (account === undefined) return Response.json({ error: 'RepoNotFound' }, { status: 400 })
    if (url.pathname === '/xrpc/com.atproto.sync.getRepoStatus') {
      return Response.json({ did: account.did, active: account.active })
    }
    if (!account.active) return Response.json({ error: 'RepoDeactivated' }, { status: 400 })
    const chunks: Uint8Array[] = []
    for await (const chunk of account.repo.export()) chunks.push(chunk)
    return new Response(new Blob(chunks as BlobPart[]))
  }
  return { fetch, requests }
}

/** A consumer that keeps what it is told, and a way to run it until it is where the network is. */
function consumer(network: SimulatedNetwork, fetch: FetchLike) {
  const repos = new Map<string, Map<string, string>>()
  const events: StreamEvent[] = []
  const issues: FirehoseIssue[] = []
  const chain = createMemoryChainStore()
  const store = createMemorySyncStore()
  const cursor = createMemoryCursorStore({ [service]: 0 })
  const identity = network.identitySource()
  const repoOf = (did: string) => {
    const repo = repos.get(did) ?? new Map<string, string>()
    repos.set(did, repo)
    return repo
  }
  const run = (
    signal: AbortSignal,
    options: Partial<Parameters<typeof runRepos>[0]> & { backfill?: boolean } = {},
  ) =>
    runRepos({
      service,
      cursor,
      open: network.loopback.open,
      signal,
      verify: createEventVerifier({ identity, chain, now: network.now }),
      lagMs: Infinity,
      clock: {
        now: network.now,
        sleep: (_, end) =>
          end?.aborted === true
            ? Promise.reject(new Error('aborted'))
            : turn().then(() => undefined),
      },
      onIssue: (issue) => issues.push(issue),
      resync: {
        identity,
        store,
        known: repoOf,
        fetch,
        upstream: undefined,
        ...(options.backfill === true ? { backfill: listRepos({ service, fetch }) } : {}),
      },
      handle: (event) => {
        events.push(event)
        if (event.type === 'account' && event.status === 'deactivated') repos.delete(event.did)
        if (event.type !== 'commit') return
        const repo = repoOf(event.did)
        for (const { action, path, cid } of event.ops) {
          if (cid === null) repo.delete(path)
          else {
            // Each operation fits what is there: nothing is told twice, nothing is missing.
            expect([path, repo.has(path)]).toEqual([path, action === 'update'])
            repo.set(path, cid.toString())
          }
        }
      },
      ...options,
    })
  return { repos, events, issues, store, chain, identity, run }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 5_000; i++) {
    if (await condition()) return
    await turn()
  }
  throw new Error('never came true')
}

const same = async (network: SimulatedNetwork, repos: Map<string, Map<string, string>>) => {
  for (const account of network.accounts) {
    const ours = repos.get(account.did) ?? new Map<string, string>()
    const theirs = await contents(account)
    if (ours.size !== theirs.size) return false
    for (const [path, cid] of theirs) if (ours.get(path) !== cid) return false
  }
  return true
}

describe('resync', () => {
  it('ends with what every repository holds, whatever was lost on the way, and tells deletes', async () => {
    const network = await SimulatedNetwork.create({ accounts: 6, seed: 3 })
    const { fetch } = hostsOf(network)
    const { run, repos, events, issues, store } = consumer(network, fetch)
    const stop = new AbortController()
    const running = run(stop.signal)
    let lost = 0
    for (let i = 0; i < 400; i++) {
      const account = network.random.pick(network.accounts)
      const roll = network.random.next()
      if (roll < 0.1 && account.paths.length > 2) {
        // A delete that never reaches the stream.
        const [collection = '', rkey = ''] = account.paths[0]!.split('/')
        await network.apply(account, [{ action: 'delete', collection, rkey }])
        lost++
      } else if (roll < 0.2) {
        await network.write(account)
        lost++
      } else await network.step(account)
      if (i % 7 === 0) await turn()
    }
    for (const account of network.accounts) await network.step(account)
    await until(() => same(network, repos))
    stop.abort()
    const counts = await running
    expect(lost).toBeGreaterThan(40)
    expect(issues.filter((issue) => issue.kind === 'rejected')).toEqual([])
    const fetched = events.filter((event) => !event.live && event.type === 'commit')
    expect(fetched.length).toBeGreaterThan(5)
    const deletes = fetched.flatMap((event) =>
      event.type === 'commit' ? event.ops.filter((op) => op.action === 'delete') : [],
    )
    expect(deletes.length).toBeGreaterThan(5)
    expect([...(store.pending() as string[])]).toEqual([])
    const {
      received,
      delivered,
      filtered,
      rejected,
      discontinuous,
      parked,
      unknown,
      invalid,
      info,
    } = counts
    expect(
      delivered + filtered + rejected + discontinuous + parked + unknown + invalid + info,
    ).toBe(received)
    expect(parked).toBeGreaterThan(10)
  })

  it('backfills a whole host while it goes on writing, then follows it', async () => {
    const network = await SimulatedNetwork.create({ accounts: 10, seed: 9 })
    for (let i = 0; i < 200; i++) await network.write(network.random.pick(network.accounts))
    const { fetch, requests } = hostsOf(network)
    const { run, repos, events } = consumer(network, fetch)
    const stop = new AbortController()
    const { last } = network.hosts[0]!.log.bounds()
    const running = run(stop.signal, { backfill: true, cursor: last })
    for (let i = 0; i < 100; i++) {
      await network.step()
      if (i % 5 === 0) await turn()
    }
    await until(() => same(network, repos))
    stop.abort()
    await running
    expect(requests.filter((url) => url.includes('listRepos'))).toHaveLength(4)
    expect(events.some((event) => event.live)).toBe(true)
  })

  it('goes on after a crash with what was marked and not fetched', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 4 })
    const account = network.accounts[0]!
    let reachable = false
    const { fetch } = hostsOf(network, () =>
      reachable ? undefined : new Response('no', { status: 503 }),
    )
    const { run, repos, store, issues } = consumer(network, fetch)
    await network.write(account)
    await network.step(account)
    const first = new AbortController()
    const running = run(first.signal)
    await until(() => issues.some((issue) => issue.kind === 'resync-failed'))
    first.abort()
    await running
    expect([...(store.pending() as string[])]).toEqual([account.did])
    expect(await same(network, repos)).toBe(false)
    reachable = true
    const second = new AbortController()
    const again = run(second.signal)
    await until(() => same(network, repos))
    second.abort()
    await again
    expect([...(store.pending() as string[])]).toEqual([])
  })

  it('fetches once what is asked for twice', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 5 })
    const account = network.accounts[0]!
    await network.write(account)
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    const { fetch, requests } = hostsOf(network, async (url) => {
      if (url.pathname.endsWith('getRepo')) await answered
      return undefined
    })
    const { run, repos, store, events } = consumer(network, fetch)
    await store.mark([account.did])
    const stop = new AbortController()
    const { last } = network.hosts[0]!.log.bounds()
    const running = run(stop.signal, { backfill: true, cursor: last })
    await until(() => requests.some((url) => url.includes('listRepos')))
    for (let i = 0; i < 20; i++) await turn()
    answer()
    await until(() => same(network, repos))
    await until(() => [...(store.pending() as string[])].length === 0)
    for (let i = 0; i < 20; i++) await turn()
    stop.abort()
    await running
    expect(requests.filter((url) => url.includes('getRepo')).length).toBe(1)
    expect(events.filter((event) => event.type === 'commit').length).toBe(1)
  })

  it('fetches once more when more came meanwhile than it may hold', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 6 })
    const account = network.accounts[0]!
    const old: Uint8Array[] = []
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    let asked = 0
    const { fetch } = hostsOf(network, async (url) => {
      if (!url.pathname.endsWith('getRepo') || ++asked > 1) return undefined
      await answered
      return new Response(new Blob(old as BlobPart[]))
    })
    const { run, repos, store, identity } = consumer(network, fetch)
    const known = (did: string) => repos.get(did) ?? new Map<string, string>()
    await network.write(account)
    await network.step(account)
    for await (const chunk of account.repo.export()) old.push(chunk)
    const stop = new AbortController()
    const running = run(stop.signal, {
      resync: { identity, store, known, fetch, maxParkedEvents: 3 },
    })
    await until(() => asked === 1)
    // With the one that asked for it, the last of these is one too many: all are let go.
    for (let i = 0; i < 3; i++) await network.step(account)
    for (let i = 0; i < 20; i++) await turn()
    answer()
    await until(() => same(network, repos))
    stop.abort()
    await running
    expect(asked).toBe(2)
  })

  it('fetches what a deleted account holds when it is back, before it writes', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 7 })
    const account = network.accounts[0]!
    await network.step(account)
    const { fetch } = hostsOf(network)
    const { run, events } = consumer(network, fetch)
    const stop = new AbortController()
    const running = run(stop.signal)
    await network.send(account, network.accountEvent({ ...account, active: false }, 'deleted'))
    await until(() => events.some((event) => event.type === 'account' && !event.active))
    const before = events.length
    await network.send(account, network.accountEvent(account))
    await until(() => events.some((event) => event.type === 'commit' && !event.live))
    stop.abort()
    await running
    expect(events.slice(before).map(({ type }) => type)).toEqual(['account', 'commit'])
  })

  it('asks a host that is not there to say so, and tells the consumer', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 4 })
    const account = network.accounts[0]!
    const { fetch } = hostsOf(network)
    const { run, events } = consumer(network, fetch)
    await network.write(account)
    await network.step(account)
    account.active = false
    const stop = new AbortController()
    const running = run(stop.signal)
    await until(() => events.some((event) => event.type === 'account' && !event.live))
    stop.abort()
    await running
    expect(events.at(-1)).toMatchObject({ type: 'account', active: false, status: 'deactivated' })
  })
})

describe('a backfill', () => {
  /** Until the signal aborts. */
  const never = (signal: AbortSignal | undefined) =>
    new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
    })

  async function* pages(...lists: readonly (readonly string[])[]) {
    for (const dids of lists) {
      await turn()
      yield { dids, cursor: undefined }
    }
  }

  it('does not wait for a host that never answers', async () => {
    const network = await SimulatedNetwork.create({ accounts: 40, hosts: 2, seed: 11 })
    const [good, silent] = network.hosts
    const of = (host: typeof good) => network.accounts.filter((one) => one.host === host)
    const { fetch } = hostsOf(network, (url, signal) =>
      url.host === silent!.hostname ? never(signal) : undefined,
    )
    const { run, events, identity } = consumer(network, fetch)
    const stop = new AbortController()
    const dids = (host: typeof good) => of(host).map((one) => one.did)
    expect(dids(silent).length).toBeGreaterThan(12)
    const running = run(stop.signal, {
      cursor: good!.log.bounds().last,
      resync: {
        identity,
        store: createMemorySyncStore(),
        known: () => new Map(),
        fetch,
        backfill: pages(dids(silent), dids(good)),
      },
    })
    await until(() => events.length === of(good).length)
    stop.abort()
    await running
    expect(new Set(events.map((event) => event.did))).toEqual(new Set(dids(good)))
  })

  it('goes past any number of accounts that cannot be had, and keeps them marked', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 12 })
    const { fetch } = hostsOf(network)
    const { run, events, identity, issues } = consumer(network, fetch)
    const dead = Array.from({ length: 10_100 }, (_, i) => `did:web:dead${String(i)}.test`)
    const store = createMemorySyncStore()
    const stop = new AbortController()
    const running = run(stop.signal, {
      cursor: network.hosts[0]!.log.bounds().last,
      // Attempts follow each other at once; the hour until the store is looked through again does not pass.
      clock: {
        now: network.now,
        sleep: (ms, signal) => (ms >= 3_600_000 ? never(signal) : turn().then(() => undefined)),
      },
      resync: {
        identity,
        store,
        known: () => new Map(),
        fetch,
        backfill: pages(dead, [network.accounts[0]!.did]),
        concurrency: 200,
      },
    })
    await until(() => events.length === 1)
    stop.abort()
    await running
    expect(issues.length).toBeGreaterThan(dead.length)
    expect(new Set(store.pending() as string[])).toEqual(new Set(dead))
  })
})

describe('a mirror that lags', () => {
  /** An account known up to now, and a mirror that stays there, or as many commits behind. */
  async function lagging(behind = 0) {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 13 })
    const account = network.accounts[0]!
    for (let i = 0; i < 5; i++) await network.step(account)
    const old: Uint8Array[] = []
    for await (const chunk of account.repo.export()) old.push(chunk)
    for (let i = 0; i < behind; i++) await network.step(account)
    const { fetch } = hostsOf(network, (url) =>
      url.host === 'mirror.test' ? new Response(new Blob(old as BlobPart[])) : undefined,
    )
    const mirror = consumer(network, fetch)
    const resync = {
      identity: mirror.identity,
      store: mirror.store,
      known: (did: string) => mirror.repos.get(did) ?? new Map<string, string>(),
      fetch,
      upstream: 'https://mirror.test',
    }
    const known = new AbortController()
    const running = mirror.run(known.signal, { resync })
    await until(() => same(network, mirror.repos))
    known.abort()
    await running
    return { network, account, ...mirror, resync }
  }

  it('is not taken for the truth about what came after it', async () => {
    const { network, account, run, repos, resync } = await lagging()
    await network.write(account)
    await network.step(account)
    const stop = new AbortController()
    const running = run(stop.signal, { resync })
    await until(() => same(network, repos))
    stop.abort()
    await running
    expect(await same(network, repos)).toBe(true)
  })

  it('rolls nothing back that is known already', async () => {
    const { network, account, run, repos, resync, events } = await lagging(4)
    await network.write(account)
    await network.step(account)
    const stop = new AbortController()
    const running = run(stop.signal, { resync })
    await until(() => same(network, repos))
    stop.abort()
    await running
    const revs = events.flatMap((event) => (event.type === 'commit' ? [event.rev] : []))
    expect(revs.length).toBeGreaterThan(6)
    expect(revs).toEqual(revs.toSorted())
  })

  it('is not asked after a crash, when nobody knows how far it should be', async () => {
    const { network, account, run, repos, resync, store } = await lagging()
    await network.write(account)
    await store.mark([account.did])
    const stop = new AbortController()
    const running = run(stop.signal, { resync })
    await until(() => same(network, repos))
    stop.abort()
    await running
    expect(await same(network, repos)).toBe(true)
  })
})

describe('accounts whose repository is being fetched', () => {
  /** A network whose only account has lost a commit, and a host that answers when told to. */
  async function stuck() {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 4 })
    const account = network.accounts[0]!
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    const copies: Uint8Array[] = []
    const hosts = hostsOf(network, async (url) => {
      if (!url.pathname.endsWith('getRepo') || copies.length === 0) return undefined
      await answered
      return new Response(new Blob(copies as BlobPart[]))
    })
    const mirror = consumer(network, hosts.fetch)
    await network.write(account)
    await network.step(account)
    for await (const chunk of account.repo.export()) copies.push(chunk)
    const stop = new AbortController()
    return { network, account, ...mirror, ...hosts, answer, copies, stop }
  }

  it('stay deleted when they are deleted meanwhile', async () => {
    const { network, account, run, events, requests, answer, stop, store, copies } = await stuck()
    const running = run(stop.signal)
    await until(() => requests.some((url) => url.includes('getRepo')))
    await network.send(account, {
      ...network.accountEvent(account, 'deleted'),
      active: false,
    } as RepoEvent)
    await until(() => events.some((event) => event.type === 'account' && !event.active))
    answer()
    await until(() => [...(store.pending() as string[])].length === 0)
    expect(events.at(-1)).toMatchObject({ type: 'account', active: false, live: true })
    // When it comes back, what it holds is not known any more.
    copies.length = 0
    await network.send(account, network.accountEvent(account))
    await network.step(account)
    await until(() => events.some((event) => event.type === 'commit' && !event.live))
    const copy = events.findLast((event) => event.type === 'commit' && !event.live)
    expect(copy).toMatchObject({ ops: { length: account.paths.length } })
    stop.abort()
    await running
  })

  it('are handled one event at a time', async () => {
    const { network, account, run, events, requests, answer, stop } = await stuck()
    let handling = 0
    const most: number[] = []
    const running = run(stop.signal, {
      handle: async (event) => {
        most.push(++handling)
        for (let i = 0; i < 20; i++) await turn()
        handling--
        events.push(event)
      },
    })
    await until(() => requests.some((url) => url.includes('getRepo')))
    answer()
    for (let i = 0; i < 30; i++) {
      await network.send(account, network.identityEvent(account))
      await turn()
    }
    await until(() => events.some((event) => !event.live))
    await until(() => events.filter((event) => event.type === 'identity').length > 30)
    stop.abort()
    await running
    expect(Math.max(...most)).toBe(1)
  })

  it('do not end the run when they cannot be resolved', async () => {
    const { network, account, run, issues, answer, stop, identity } = await stuck()
    answer()
    const lost: typeof identity = {
      ...identity,
      peek: () => undefined,
      resolve: () => Promise.reject(new TypeError('directory is away')),
    }
    const running = run(stop.signal, {
      resync: {
        identity: lost,
        store: createMemorySyncStore(),
        known: () => new Map(),
        fetch: hostsOf(network).fetch,
      },
    })
    await until(() => issues.some((issue) => issue.kind === 'resync-failed'))
    stop.abort()
    await running
    expect(issues.find((issue) => issue.kind === 'resync-failed')).toMatchObject({
      did: account.did,
      error: { code: 'FetchFailed' },
    })
  })
})

describe('diffRepo', () => {
  it('makes of what is known what is there, and leaves alone what is the same', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 8 })
    const account = network.accounts[0]!
    for (let i = 0; i < 30; i++) await network.write(account)
    const repo = await verifyRepo(account.repo.export(), { did: account.did })
    const there = new Map([...repo.records()].map(({ path, cid }) => [path, cid.toString()]))
    const [same_, changed, created] = [...there.keys()]
    const known = new Map(there).set('app.bsky.feed.like/gone', there.get(same_!)!)
    known.set(changed!, there.get(same_!)!)
    known.delete(created!)
    expect(diffRepo(there, repo)).toEqual([])
    const ops = diffRepo(known, repo).map(({ action, path, cid }) => [
      action,
      path,
      cid?.toString(),
    ])
    expect(ops.length).toBe(3)
    expect(ops).toContainEqual(['create', created, there.get(created!)])
    expect(ops).toContainEqual(['update', changed, there.get(changed!)])
    expect(ops).toContainEqual(['delete', 'app.bsky.feed.like/gone', undefined])
    const posts = diffRepo(new Map(), repo, ['app.bsky.feed.post'])
    expect(posts.length).toBeGreaterThan(0)
    expect(new Set(posts.map(({ collection }) => collection))).toEqual(
      new Set(['app.bsky.feed.post']),
    )
  })
})

describe('fetchRepo', () => {
  it('looks where the account lives now before it believes that it is gone', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, hosts: 2, seed: 2 })
    const account = network.accounts[0]!
    const identity = network.identitySource()
    await identity.resolve(account.did, { refresh: false })
    const { hostname } = account.host
    network.migrate(account)
    const { fetch, requests } = hostsOf(network)
    const { source } = await fetchRepo(account.did, { identity, fetch })
    expect(source).toBe(account.host.hostname)
    expect(new Set(requests.map((url) => new URL(url).hostname))).toEqual(
      new Set([hostname, account.host.hostname]),
    )
  })

  it('does not call an account deleted whose host still knows it', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 2 })
    const account = network.accounts[0]!
    const missing = (url: URL) =>
      url.pathname.endsWith('getRepo')
        ? Response.json({ error: 'RepoNotFound' }, { status: 400 })
        : undefined
    const options = { identity: network.identitySource(), fetch: hostsOf(network, missing).fetch }
    await expect(fetchRepo(account.did, options)).rejects.toMatchObject({ code: 'FetchFailed' })
    account.active = false
    const inactive = (url: URL) =>
      missing(url) ?? Response.json({ did: account.did, active: false, status: 'suspended' })
    await expect(
      fetchRepo(account.did, { ...options, fetch: hostsOf(network, inactive).fetch }),
    ).rejects.toMatchObject({ code: 'RepoUnavailable', status: 'suspended' })
    const gone = () => Response.json({ error: 'RepoNotFound' }, { status: 400 })
    await expect(
      fetchRepo(account.did, { ...options, fetch: hostsOf(network, gone).fetch }),
    ).rejects.toMatchObject({ code: 'RepoUnavailable', status: 'deleted' })
  })

  it.each(['http://127.0.0.1:1', 'https://10.0.0.1', 'https://metadata.internal'])(
    'does not ask %s by itself',
    async (pds) => {
      const network = await SimulatedNetwork.create({ accounts: 1, seed: 2 })
      const { did, key } = network.accounts[0]!
      const account = { signingKey: key.publicKey, pds }
      const identity = {
        peek: () => account,
        resolve: () => Promise.resolve(account),
        purge: () => undefined,
      }
      await expect(fetchRepo(did, { identity })).rejects.toMatchObject({
        code: 'FetchFailed',
        cause: { code: 'ForbiddenAddress' },
      })
    },
  )

  it('waits for its turn where a redirect says when, a minute at the most', async () => {
    let seconds = '7'
    const server = createServer((_, response) => {
      const location = 'https://10.0.0.1/xrpc/com.atproto.sync.getRepo'
      response.writeHead(302, { location, 'retry-after': seconds }).end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const trusted = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
    const clock = createFakeClock()
    const fetch = createRepoFetch({ trusted, clock })
    const { signal } = new AbortController()
    const waits: [given: string, ms: number][] = [
      ['7', 7_000],
      ['999999', 60_000],
    ]
    for (const [given, ms] of waits) {
      seconds = given
      let failure: unknown
      const asking = fetch(`${trusted}/x`, { signal }).catch((error: unknown) => {
        failure = error
      })
      while (clock.sleeping === 0) await turn()
      await clock.advance(ms - 1)
      expect(failure).toBeUndefined()
      await clock.advance(1)
      await asking
      // It went where it was sent, which is refused.
      expect(failure).toMatchObject({ code: 'ForbiddenAddress' })
    }
    seconds = 'soon'
    await expect(fetch(`${trusted}/x`, { signal })).rejects.toMatchObject({
      code: 'ForbiddenAddress',
    })
    server.close()
  })

  it('takes the upstream’s copy when it holds, else the host’s own', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, hosts: 1, seed: 2 })
    const account = network.accounts[0]!
    for (let i = 0; i < 5; i++) await network.step(account)
    const old: Uint8Array[] = []
    for await (const chunk of account.repo.export()) old.push(chunk)
    await network.step(account)
    const { rev } = await account.repo.head()
    const answers: Record<string, () => Response> = {
      stale: () => new Response(new Blob(old as BlobPart[])),
      broken: () => new Response('not a car'),
      silent: () => {
        throw new TypeError('connection refused')
      },
      missing: () => Response.json({ error: 'RepoNotFound' }, { status: 400 }),
    }
    for (const answer of Object.values(answers)) {
      const { fetch, requests } = hostsOf(network, (url) =>
        url.host === 'mirror.test' ? answer() : undefined,
      )
      const { repo, source } = await fetchRepo(account.did, {
        identity: network.identitySource(),
        upstream: 'https://mirror.test',
        fetch,
        minRev: rev,
      })
      expect([repo.rev, source]).toEqual([rev, account.host.hostname])
      expect(requests).toHaveLength(2)
    }
  })

  it('says why there is no copy', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 2 })
    const account = network.accounts[0]!
    const identity = network.identitySource()
    const failing = (before: () => Response | undefined) =>
      fetchRepo(account.did, { identity, fetch: hostsOf(network, before).fetch })
    await expect(
      failing(() => new Response('', { status: 429, headers: { 'retry-after': '7' } })),
    ).rejects.toMatchObject({ code: 'FetchFailed', status: 429, retryAfterMs: 7_000 })
    await expect(failing(() => new Response('junk'))).rejects.toMatchObject({ code: 'FetchFailed' })
    await expect(
      failing(() => Response.json({ error: 'RepoTakendown' }, { status: 400 })),
    ).rejects.toMatchObject({ code: 'RepoUnavailable', status: 'takendown' })
    account.key = network.newKey()
    const fresh = { identity: network.identitySource(), fetch: hostsOf(network).fetch }
    await expect(fetchRepo(account.did, fresh)).rejects.toMatchObject({
      code: 'FetchFailed',
      cause: { code: 'InvalidSignature' },
    })
  })
})

describe('openSqliteSyncStore', () => {
  it('remembers what is pending, page by page', async () => {
    const database = new DatabaseSync(':memory:')
    await using store = openSqliteSyncStore({ database })
    const dids = Array.from({ length: 2_500 }, (_, i) => `did:plc:${String(i).padStart(5, '0')}`)
    await store.mark(dids)
    await store.mark(dids.slice(0, 10))
    expect([...(store.pending() as Iterable<string>)]).toEqual(dids)
    await store.clear(dids[0]!)
    expect([...(store.pending() as Iterable<string>)]).toEqual(dids.slice(1))
  })
})
