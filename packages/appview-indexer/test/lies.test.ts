import { commitLies, SimulatedNetwork } from '@skywright/firehose/testing'
import type { FirehoseIssue } from '@skywright/firehose'
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
import type { IndexStore } from '../src/index.ts'
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
