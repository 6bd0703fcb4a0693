import { commitLies, historyLies, SimulatedNetwork } from '@skywright/firehose/testing'
import type { FirehoseIssue, RepoEvent } from '@skywright/firehose'
import { afterAll, beforeAll, expect, it } from 'vitest'

import {
  collection,
  createRepoFetcher,
  did,
  firehoseSource,
  openIndexer,
  text,
  uri,
} from '../src/index.ts'
import type { IndexIssue, IndexStore } from '../src/index.ts'
import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { startPostgres } from './postgres-server.ts'
import type { TestServer } from './postgres-server.ts'
import { serve } from './serve-network.ts'

const EVENTS = 150
const POST = 'app.bsky.feed.post'

const collections = {
  post: collection(POST, {
    columns: { text: text('text') },
    validate: (record) => (record['text'] === 'bad' ? 'text is bad' : undefined),
    counters: { postsCount: 'did' },
    search: ['text'],
  }),
  like: collection('app.bsky.feed.like', {
    layout: 'edge',
    columns: { subject: uri('subject') },
    unique: ['subject'],
    counters: { likeCount: 'subject' },
  }),
  follow: collection('app.bsky.graph.follow', {
    layout: 'edge',
    columns: { subject: did('subject') },
    unique: ['subject'],
    counters: { followersCount: 'subject' },
  }),
}

let server: TestServer | undefined
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

const stores: Record<string, () => Promise<IndexStore>> = {
  SQLite: () => Promise.resolve(openSqliteIndexStore(':memory:')),
  Postgres: async () => {
    if (server === undefined) throw new TypeError('no server')
    const { connectionString } = await server.create()
    return openPostgresIndexStore({ connectionString })
  },
}

it.each(Object.keys(stores))(
  'takes the truth from a network that lies and repeats itself, and nothing else, on %s',
  async (name) => {
    const network = await SimulatedNetwork.create({ accounts: 6, hosts: 1, seed: 11 })
    const { fetch, resolver } = serve(network)
    const told = new Set<string>()
    let bad = 0
    let last = 0
    for (let n = 0; n < EVENTS; n++) {
      const account = network.accounts[n % network.accounts.length]!
      const event =
        n % 10 === 9
          ? await network.apply(account, [
              {
                action: 'create',
                collection: POST,
                rkey: `bad${bad++}`,
                record: { $type: POST, text: 'bad' },
              },
            ])
          : await network.write(account)
      const lie = commitLies[n % commitLies.length]!
      const lied = lie.tell(event, { network, account })
      if (lied !== undefined) {
        await network.send(account, lied)
        told.add(lie.name)
      }
      last = await network.send(account, event)
      // Some is said twice, and lies after the truth too.
      if (n % 3 === 0) last = await network.send(account, event)
      if (n % 7 === 0 && lied !== undefined) last = await network.send(account, lied)
    }
    expect(told.size).toBeGreaterThan(commitLies.length * 0.7)

    const issues: FirehoseIssue[] = []
    await using index = await openIndexer({
      store: await stores[name]!(),
      collections,
      now: () => network.now(),
    })
    const source = firehoseSource({
      service: network.hosts[0]!.url,
      resolver,
      open: network.loopback.open,
      now: () => network.now(),
      onIssue: (issue) => issues.push(issue),
    })
    const stop = new AbortController()
    const running = index.run(
      {
        name: source.name,
        // From the beginning: a source without a cursor starts with what comes next.
        events: ({ cursor = 0, signal }) => source.events({ cursor, signal }),
      },
      { signal: stop.signal },
    )
    while (((await index.cursor(source.name)) ?? 0) < last)
      await new Promise((resolve) => setImmediate(resolve))
    stop.abort()
    await running

    await using expected = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections,
      now: () => network.now(),
      fetchRepo: createRepoFetcher({ resolver, fetch }),
    })
    await expected.backfill({ repos: network.accounts.map((account) => account.did) })
    expect(await index.stateHash()).toBe(await expected.stateHash())
    expect(await index.audit()).toEqual([])
    // Every record that fails is accounted for, and every lie was refused.
    const deadIn = async (one: Pick<typeof index, 'deadLetters'>): Promise<string[]> =>
      (await one.deadLetters()).map((letter) => letter.uri)
    expect(await deadIn(index)).toEqual(await deadIn(expected))
    expect((await deadIn(index)).length).toBeGreaterThan(bad / 2)
    expect(issues.filter(({ kind }) => kind === 'rejected').length).toBeGreaterThanOrEqual(
      told.size,
    )
    expect(await index.select('post').count()).toBeGreaterThan(10)
    expect(await index.select('like').count()).toBeGreaterThan(20)
  },
  120_000,
)

it.each(Object.keys(stores))(
  'ends with the repos whatever lies of several events it was told, on %s',
  async (name) => {
    const network = await SimulatedNetwork.create({ accounts: 9, hosts: 3, seed: 12 })
    const { fetch, resolver, announce } = serve(network)
    // One stream for all hosts that believes all of them, as a relay must not.
    const [relay] = network.hosts
    let last = 0
    const send = async (did: string, event: RepoEvent): Promise<void> => {
      last = await network.send({ did, host: relay! }, event)
    }
    const issues: (FirehoseIssue | IndexIssue)[] = []
    let waitedMs = 0
    await using index = await openIndexer({
      store: await stores[name]!(),
      collections,
      now: () => network.now() + waitedMs,
      fetchRepo: createRepoFetcher({ resolver, fetch }),
      onIssue: (issue) => issues.push(issue),
    })
    const source = firehoseSource({
      service: relay!.url,
      resolver,
      open: network.loopback.open,
      now: () => network.now() + waitedMs,
      onIssue: (issue) => issues.push(issue),
    })
    const stop = new AbortController()
    const running = index.run(
      { name: source.name, events: ({ cursor = 0, signal }) => source.events({ cursor, signal }) },
      { signal: stop.signal },
    )
    const settled = async (): Promise<void> => {
      for (;;) {
        const { queued, fetching, failed } = (await index.status()).repos
        if (((await index.cursor(source.name)) ?? 0) >= last && queued + fetching + failed === 0)
          return
        // Until what failed is tried again.
        waitedMs += 1_000
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const told: Record<string, number> = {}
    for (const account of network.accounts) await send(account.did, await network.write(account))
    for (const lie of historyLies)
      for (const account of network.accounts) {
        for (const { event } of await lie.tell({ network, account })) {
          // The directory knows the new host from the moment the account says so.
          announce(account)
          await send(account.did, event)
          told[lie.name] = (told[lie.name] ?? 0) + 1
        }
      }
    // Who believed the wrong branch hears of it with the next honest commit.
    for (const account of network.accounts) await send(account.did, await network.write(account))
    await settled()
    stop.abort()
    await running

    await using expected = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections,
      now: () => network.now() + waitedMs,
      fetchRepo: createRepoFetcher({ resolver, fetch }),
    })
    await expected.backfill({ repos: network.accounts.map((account) => account.did) })
    expect(await index.stateHash()).toBe(await expected.stateHash())
    expect(await index.audit()).toEqual([])
    expect(told).toEqual({ fork: 27, 'stale mirror': 63, 'migrated host': 36 })
    const count = (kind: string): number => issues.filter((issue) => issue.kind === kind).length
    expect(count('rejected')).toBeGreaterThanOrEqual(27)
    expect(count('gap')).toBeGreaterThanOrEqual(18)
    expect(await index.select('post').count()).toBeGreaterThan(10)
  },
  120_000,
)
