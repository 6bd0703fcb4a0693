import { DisconnectedError } from '@skywright/firehose'
import type { EventLog, FirehoseIssue, OpenStream } from '@skywright/firehose'
import { createJetstreamMatcher, serveJetstream } from '@skywright/firehose/jetstream'
import { SimulatedNetwork } from '@skywright/firehose/testing'
import { createMemoryResolver } from '@skywright/identity/testing'
import { expect, it } from 'vitest'

import {
  collection,
  did,
  firehoseSource,
  jetstreamSource,
  openIndexer,
  text,
  uri,
} from '../src/index.ts'
import type { EventSource, Indexer, IndexIssue, SourcedEvent } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'

const collections = {
  post: collection('app.bsky.feed.post', { columns: { text: text('text') }, search: ['text'] }),
  repost: collection('app.bsky.feed.repost', { columns: { subject: uri('subject') } }),
  like: collection('app.bsky.feed.like', {
    layout: 'edge',
    columns: { subject: uri('subject') },
    unique: ['subject'],
    counters: { likeCount: 'subject' },
  }),
  follow: collection('app.bsky.graph.follow', {
    layout: 'edge',
    columns: { subject: did('subject') },
    counters: { followersCount: 'subject' },
  }),
}
type Index = Indexer<typeof collections>

const everything = createJetstreamMatcher({})

/** Streams of a log as Jetstream sends them, without sockets; `reached` is told of every URL. */
function jetstreams(log: EventLog, reached: (url: URL) => boolean = () => true): OpenStream {
  return async function* (text, { signal, onOpen }) {
    const url = new URL(text)
    if (!reached(url)) throw new DisconnectedError('no route')
    const cursor = url.searchParams.get('cursor')
    onOpen?.()
    for await (const message of serveJetstream(log, {
      cursor: cursor === null ? undefined : Number(cursor),
      filter: () => everything,
      signal,
    }))
      yield new TextEncoder().encode(message)
    signal.throwIfAborted()
  }
}

async function openIndex(network: { now(): number }, issues: IndexIssue[] = []): Promise<Index> {
  return openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections,
    now: () => network.now(),
    onIssue: (issue) => issues.push(issue),
  })
}

async function runUntil(
  index: Index,
  source: EventSource,
  done: () => Promise<boolean>,
): Promise<void> {
  const stop = new AbortController()
  const running = index.run(source, { signal: stop.signal })
  while (!(await done())) await new Promise((resolve) => setImmediate(resolve))
  stop.abort()
  await running
}

it('indexes the same network to the same state as the verified firehose, over restarts', async () => {
  const network = await SimulatedNetwork.create({ accounts: 6, seed: 11, now: Date.now })
  const resolver = createMemoryResolver()
  for (const { did: account, key, host } of network.accounts)
    resolver.setAccount({ did: account, signingKey: key.publicKey, pds: host.url })
  const [host] = network.hosts
  await using proven = await openIndex(network)
  const firehose = firehoseSource({
    service: host!.url,
    resolver,
    open: network.loopback.open,
    onIssue: () => undefined,
  })
  const fromStart: EventSource = {
    name: firehose.name,
    events: ({ cursor = 0, signal }) => firehose.events({ cursor, signal }),
  }
  await using index = await openIndex(network)
  const issues: FirehoseIssue[] = []
  const urls: URL[] = []
  const source = jetstreamSource({
    service: 'wss://jetstream.test',
    onIssue: (issue) => issues.push(issue),
    open: jetstreams(host!.log, (url) => urls.push(url) > 0),
  })
  let many = 0
  for (let round = 0; round < 3; round++) {
    let last = 0
    for (let n = 0; n < 80; n++) {
      const event = await network.step()
      last = event.seq
      if (event.type === 'commit' && event.ops.length > 1) many++
    }
    await runUntil(proven, fromStart, async () => (await proven.cursor(host!.url)) === last)
    const expected = await proven.stateHash()
    await runUntil(index, source, async () => (await index.stateHash()) === expected)
  }
  // Commits of several operations arrive as several events of one rev.
  expect(many).toBeGreaterThan(5)
  expect(await index.select('like').count()).toBeGreaterThan(50)
  expect(await index.audit()).toEqual([])
  expect(issues).toEqual([])
  // It goes on from a time a little before where it was, in microseconds.
  const stored = (await index.cursor('wss://jetstream.test')) ?? 0
  expect(Math.abs(stored / 1_000 - Date.now())).toBeLessThan(60_000)
  expect(Number(urls.at(-1)?.searchParams.get('cursor'))).toBeLessThan(stored)
}, 60_000)

it('applies operations of one rev that come in different batches, and repeats', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  const [first, second] = alice.commit(
    { collection: 'app.bsky.feed.post', record: { text: 'one' } },
    { collection: 'app.bsky.feed.post', record: { text: 'two' } },
  )
  alice.commit({
    action: 'delete',
    collection: 'app.bsky.feed.post',
    rkey: first!.split('/').at(-1)!,
  })
  const parts = network.events.flatMap((event): SourcedEvent[] => {
    if (event.type !== 'commit') return [event]
    const { since: _since, ...rest } = event
    return event.ops.map((op) => ({ ...rest, partial: true, ops: [op] }))
  })
  expect(parts).toHaveLength(3)
  await using index = await openIndex(network)
  for (const part of parts) await index.apply([part])
  // All of it again, as after a crash.
  for (const part of parts) await index.apply([part])
  expect((await index.select('post').page()).rows.map((row) => row.uri)).toEqual([second])
  await using whole = await openIndex(network)
  await whole.apply(network.events)
  expect(await index.stateHash()).toBe(await whole.stateHash())
})

/** What a source yields first, up to a number of events. */
async function take(source: EventSource, cursor: number | undefined, count: number) {
  const events: SourcedEvent[] = []
  const stop = new AbortController()
  for await (const event of source.events({ cursor, signal: stop.signal })) {
    events.push(event)
    if (events.length >= count) break
  }
  stop.abort()
  return events
}

it('says that events were missed at a first start, and when its position is older than what is kept', async () => {
  const network = await SimulatedNetwork.create({ accounts: 2, seed: 2, now: Date.now })
  await network.step()
  const open = jetstreams(network.hosts[0]!.log)
  const source = jetstreamSource({
    service: 'wss://jetstream.test',
    open,
    onIssue: () => undefined,
  })
  expect((await take(source, undefined, 2)).map(({ type }) => type)).toEqual(['missed', 'identity'])
  const [old, ...after] = await take(source, (Date.now() - 48 * 3_600_000) * 1_000, 3)
  expect(old).toEqual({ type: 'missed', reason: 'OutdatedCursor' })
  expect(after.map(({ type }) => type)).not.toContain('missed')
  const fresh = await take(source, (Date.now() - 3_600_000) * 1_000, 2)
  expect(fresh.map(({ type }) => type)).not.toContain('missed')
})

it('goes to the next service when one fails, and fetches the repo of a record that is not what its CID says', async () => {
  const network = await SimulatedNetwork.create({ accounts: 1, seed: 4, now: Date.now })
  const [account] = network.accounts
  const create = {
    action: 'create' as const,
    collection: 'app.bsky.feed.post',
    rkey: '3laaaaaaaaa22',
  }
  const event = await network.apply(account!, [
    { ...create, record: { $type: create.collection, text: 'right' } },
  ])
  await network.send(account!, event)
  const inner = jetstreams(network.hosts[0]!.log)
  const open: OpenStream = async function* (url, options) {
    if (url.startsWith('wss://down.test')) throw new DisconnectedError('no route')
    for await (const message of inner(url, options)) {
      const altered = new TextDecoder().decode(message).replace('right', 'wrong')
      yield new TextEncoder().encode(altered)
    }
  }
  const issues: FirehoseIssue[] = []
  const source = jetstreamSource({
    service: ['wss://down.test', 'wss://lying.test'],
    open,
    onIssue: (issue) => issues.push(issue),
  })
  const events = await take(source, (Date.now() - 60_000) * 1_000, 3)
  expect(events.at(-1)).toMatchObject({ type: 'sync', did: account!.did })
  expect(issues.filter(({ kind }) => kind === 'reconnect')).toHaveLength(3)
  expect(issues.filter(({ kind }) => kind === 'rejected')).toHaveLength(1)
}, 30_000)

it('keeps a clock that is far ahead from becoming its position', async () => {
  const future = (Date.now() + 3_600_000_000) * 1_000
  const now = Date.now() * 1_000
  const account = {
    did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
    kind: 'account',
    account: { active: true },
  }
  const open: OpenStream = async function* (_url, { signal }) {
    for (const time_us of [now, future, now + 5_000])
      yield new TextEncoder().encode(JSON.stringify({ ...account, time_us }))
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    signal.throwIfAborted()
  }
  const source = jetstreamSource({ service: 'wss://fast.test', open, onIssue: () => undefined })
  const cursors = (await take(source, now - 5_000_000, 3)).map((event) =>
    'cursor' in event ? event.cursor : undefined,
  )
  expect(cursors).toEqual([now, now, now + 5_000])
})

it('repairs what could not be judged for a while, with the verified firehose', async () => {
  const network = await SimulatedNetwork.create({ accounts: 2, seed: 8, now: Date.now })
  const resolver = createMemoryResolver()
  const [known, unknown] = network.accounts
  resolver.setAccount({ did: known!.did, signingKey: known!.key.publicKey, pds: known!.host.url })
  const source = firehoseSource({
    service: network.hosts[0]!.url,
    resolver,
    open: network.loopback.open,
    onIssue: () => undefined,
  })
  const events = await take(source, 0, 6)
  const repairs = events.filter((event) => event.type === 'sync')
  expect(repairs.map((event) => event.did)).toEqual([unknown!.did])
})
