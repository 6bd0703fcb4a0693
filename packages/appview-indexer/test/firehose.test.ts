import { SimulatedNetwork } from '@skywright/firehose/testing'
import type { SimulatedAccount } from '@skywright/firehose/testing'
import type { FirehoseIssue } from '@skywright/firehose'
import { cidForCbor } from '@skywright/repo'
import type { Cid } from '@skywright/repo'
import { encodeCbor } from '@skywright/repo/cbor'
import { expect, it } from 'vitest'

import {
  collection,
  createRepoFetcher,
  did,
  firehoseSource,
  listRepos,
  openIndexer,
  uri,
} from '../src/index.ts'
import type { EventSource, Indexer } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { serve } from './serve-network.ts'

const collections = {
  post: collection('app.bsky.feed.post', { columns: {} }),
  like: collection('app.bsky.feed.like', {
    layout: 'edge',
    columns: { subject: uri('subject') },
    counters: { likeCount: 'subject' },
  }),
  follow: collection('app.bsky.graph.follow', {
    layout: 'edge',
    columns: { subject: did('subject') },
    counters: { followersCount: 'subject' },
  }),
}

function open(
  network: SimulatedNetwork,
  fetchRepo?: ReturnType<typeof createRepoFetcher>,
): Promise<Indexer<typeof collections>> {
  return openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    now: () => network.now(),
    ...(fetchRepo === undefined ? {} : { fetchRepo }),
  })
}

/** Runs a source until the index is at `cursor`. */
async function runTo(
  index: Indexer<typeof collections>,
  source: EventSource,
  cursor: number,
): Promise<void> {
  const stop = new AbortController()
  const running = index.run(source, { signal: stop.signal })
  while (((await index.cursor(source.name)) ?? 0) < cursor)
    await new Promise((resolve) => setImmediate(resolve))
  stop.abort()
  await running
}

it('indexes a verified firehose, resumes where it was, and equals a verified backfill', async () => {
  const network = await SimulatedNetwork.create({ accounts: 8, seed: 7 })
  const { fetch, resolver } = serve(network)
  const issues: FirehoseIssue[] = []
  const [host] = network.hosts
  const source = firehoseSource({
    service: host!.url,
    resolver,
    open: network.loopback.open,
    now: () => network.now(),
    onIssue: (issue) => issues.push(issue),
  })
  await using live = await open(network)
  for (let round = 0; round < 3; round++) {
    let last = 0
    for (let n = 0; n < 60; n++) last = (await network.step()).seq
    // A source without a cursor is live only: the first round starts from the beginning.
    const from: EventSource = {
      name: source.name,
      events: ({ cursor = 0, signal }) => source.events({ cursor, signal }),
    }
    await runTo(live, from, last)
  }
  expect(issues.filter(({ kind }) => kind === 'rejected')).toEqual([])
  expect(await live.select('like').count()).toBeGreaterThan(30)
  expect(await live.audit()).toEqual([])

  await using filled = await open(network, createRepoFetcher({ resolver, fetch }))
  const result = await filled.backfill({ repos: listRepos({ service: host!.url, fetch }) })
  expect(result).toEqual({ synchronized: 8, failed: 0 })
  expect(await filled.stateHash()).toBe(await live.stateHash())
}, 60_000)

it('fetches a repo whose host says that the tree at the indexed rev is another one', async () => {
  const network = await SimulatedNetwork.create({ accounts: 2, seed: 8 })
  const { fetch, resolver } = serve(network)
  const [host] = network.hosts
  const [alice] = network.accounts as [SimulatedAccount]
  const source = firehoseSource({
    service: host!.url,
    resolver,
    open: network.loopback.open,
    now: () => network.now(),
    onIssue: () => undefined,
  })
  const fromStart: EventSource = {
    name: source.name,
    events: ({ cursor = 0, signal }) => source.events({ cursor, signal }),
  }
  const fetched: string[] = []
  const fetchRepo = createRepoFetcher({ resolver, fetch })
  await using index = await open(network, (did, options) => {
    fetched.push(did)
    return fetchRepo(did, options)
  })
  const commit = await network.write(alice)
  await runTo(index, fromStart, await network.send(alice, commit))
  await index.backfill({ repos: [alice.did] })
  const before = fetched.length
  const say = async (data: Cid): Promise<void> => {
    const unsigned = { did: alice.did, version: 3, data, rev: commit.rev, prev: null }
    const sig = alice.key.sign(encodeCbor(unsigned))
    const bytes = encodeCbor({ ...unsigned, sig })
    const sync = network.syncEvent(alice, commit.rev, bytes, cidForCbor(bytes))
    await runTo(index, fromStart, await network.send(alice, sync))
    await index.backfill({ repos: [] })
  }
  await say((await alice.repo.head()).data)
  expect(fetched).toHaveLength(before)
  await say(cidForCbor(encodeCbor({ forked: true })))
  expect(fetched.slice(before)).toEqual([alice.did])
})

it('hides what a PDS says is taken down, and keeps a repo with a wrong signature out', async () => {
  const network = await SimulatedNetwork.create({ accounts: 3, seed: 9 })
  for (let n = 0; n < 40; n++) await network.step()
  const { fetch, resolver } = serve(network)
  const [down, forged, fine] = network.accounts
  down!.active = false
  resolver.setAccount({
    did: forged!.did,
    signingKey: network.newKey().publicKey,
    pds: forged!.host.url,
  })
  const failed: unknown[] = []
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    now: () => network.now(),
    fetchRepo: createRepoFetcher({ resolver, fetch }),
    onIssue: (issue) => {
      if (issue.kind === 'repo-failed') failed.push(issue.did)
    },
  })
  await index.backfill({ repos: network.accounts.map((account) => account.did) })
  expect(await index.actor(down!.did)).toMatchObject({ active: false, status: 'takendown' })
  expect(failed).toEqual([forged!.did])
  expect((await index.actor(forged!.did))?.rev).toBeUndefined()
  expect((await index.actor(fine!.did))?.rev).toBeDefined()
  expect((await index.status()).repos.failed).toBe(1)
})
