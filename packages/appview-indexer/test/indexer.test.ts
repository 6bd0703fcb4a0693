import { afterEach, describe, expect, it } from 'vitest'

import { createCatalog } from '@skywright/xrpc'
import { collection, openIndexer, text } from '../src/index.ts'
import type { Indexer, IndexIssue, SnapshotRecord } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { NSID, socialCollections, strongRef } from './social.ts'
import type { SocialCollections } from './social.ts'

const opened: AsyncDisposable[] = []
afterEach(async () => {
  for (const indexer of opened.splice(0)) await indexer[Symbol.asyncDispose]()
})

async function open(
  network: FakeNetwork,
  options: { fetch?: boolean; issues?: IndexIssue[] } = {},
): Promise<Indexer<SocialCollections>> {
  const indexer = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
    ...(options.fetch === true ? { fetchRepo: network.fetchRepo } : {}),
    ...(options.issues === undefined ? {} : { onIssue: (issue) => options.issues?.push(issue) }),
  })
  opened.push(indexer)
  return indexer
}

describe('live indexing', () => {
  it('indexes rows, counters, links, notifications and search of a commit', async () => {
    const network = createFakeNetwork()
    const [alice, bob] = [network.account(), network.account()]
    const post = alice.create(NSID.POST, { text: 'hello wörld', createdAt: '2025-12-31T10:00:00Z' })
    bob.create(NSID.LIKE, { subject: strongRef(post) })
    bob.create(NSID.REPOST, { subject: strongRef(post) })
    bob.create(NSID.FOLLOW, { subject: alice.did })
    const reply = bob.create(NSID.POST, {
      text: 'hi there',
      reply: { parent: strongRef(post), root: strongRef(post) },
    })
    const index = await open(network)
    await index.run(network.source())

    const row = await index.get('post', post)
    expect(row?.text).toBe('hello wörld')
    expect(row?.record?.['text']).toBe('hello wörld')
    expect(row?.length).toBe(11)
    expect(row?.createdAt).toBe(Date.parse('2025-12-31T10:00:00Z'))
    expect(row?.sortAt).toBe(row?.createdAt)
    expect(row?.cid).toMatch(/^bafyrei/)
    expect((await index.counts([post])).get(post)).toMatchObject({
      likeCount: 1,
      repostCount: 1,
      replyCount: 1,
      quoteCount: 0,
    })
    expect((await index.counts([alice.did])).get(alice.did)).toMatchObject({
      followersCount: 1,
      postsCount: 1,
      followsCount: 0,
    })
    expect((await index.select('post').search('WORLD').page()).rows.map(({ uri }) => uri)).toEqual([
      post,
    ])
    expect((await index.select('post').search('ther*').page()).rows.map(({ uri }) => uri)).toEqual([
      reply,
    ])
    expect((await index.select('post').where({ root: post }).page()).rows).toHaveLength(1)
    const likes = await index.backlinks({ target: post, from: 'like', path: 'subject' })
    expect(likes.rows.map(({ did }) => did)).toEqual([bob.did])
    expect(await index.countBacklinks({ target: post, from: 'like', path: 'subject' })).toBe(1)
    expect(
      (
        await index
          .select('like')
          .where({ did: bob.did, subject: [post, reply] })
          .page()
      ).rows,
    ).toHaveLength(1)
    const { rows } = await index.notifications(alice.did)
    expect(new Set(rows.map(({ reason }) => reason))).toEqual(
      new Set(['like', 'repost', 'follow', 'reply']),
    )
    expect(await index.countNotifications(alice.did)).toBe(4)
    expect(await index.audit()).toEqual([])
    expect(await index.cursor('memory:')).toBe(network.events.length)
    expect((await index.actor(bob.did))?.rev).toBe(bob.rev)
  })

  it('takes everything back when records go', async () => {
    const network = createFakeNetwork()
    const [alice, bob] = [network.account(), network.account()]
    const post = alice.create(NSID.POST, { text: 'one' })
    const like = bob.create(NSID.LIKE, { subject: strongRef(post) })
    const reply = bob.create(NSID.POST, {
      text: 'two',
      reply: { parent: strongRef(post), root: strongRef(post) },
    })
    const index = await open(network)
    await index.apply(network.events)
    const before = network.events.length
    bob.delete(like)
    bob.delete(reply)
    alice.update(post, { text: 'edited' })
    await index.apply(network.events.slice(before))
    expect((await index.counts([post])).get(post)).toMatchObject({ likeCount: 0, replyCount: 0 })
    expect((await index.notifications(alice.did)).rows).toEqual([])
    expect((await index.select('post').search('two').page()).rows).toEqual([])
    expect((await index.select('post').search('edited').page()).rows).toHaveLength(1)
    expect(await index.audit()).toEqual([])
  })

  it('ignores replays: state and counters stay', async () => {
    const network = createFakeNetwork()
    const [alice, bob] = [network.account(), network.account()]
    const post = alice.create(NSID.POST, { text: 'one' })
    bob.create(NSID.LIKE, { subject: strongRef(post) })
    const index = await open(network)
    await index.apply(network.events)
    const hash = await index.stateHash()
    const again = await index.apply(network.events)
    expect(again.stale).toBe(2)
    expect(await index.stateHash()).toBe(hash)
  })

  it('keeps bad records as dead letters, tells why, and indexes them after a fix', async () => {
    const network = createFakeNetwork()
    const alice = network.account()
    alice.create(NSID.POST, { text: 'bad' })
    const wrongType = alice.create(NSID.POST, { text: 7 })
    alice.create(NSID.PROFILE, { displayName: 'x' }, 'other')
    const good = alice.create(NSID.POST, { text: 'good' })
    const issues: IndexIssue[] = []
    const index = await open(network, { issues })
    const result = await index.apply(network.events)
    expect(result.deadLetters).toBe(3)
    const letters = await index.deadLetters()
    expect(letters.map(({ reason }) => reason).toSorted()).toEqual([
      'record key must be self',
      'text is bad',
      'text is missing or not a text',
    ])
    expect(issues.filter(({ kind }) => kind === 'dead-letter')).toHaveLength(3)
    expect((await index.get('post', good))?.text).toBe('good')
    expect(await index.retryDeadLetters()).toEqual({ indexed: 0, failed: 3, queued: 0 })
    const before = network.events.length
    alice.update(wrongType, { text: 'seven' })
    await index.apply(network.events.slice(before))
    expect((await index.deadLetters()).length).toBe(2)
    expect((await index.get('post', wrongType))?.text).toBe('seven')
  })
})

it('checks records against lexicons', async () => {
  const lexicons = createCatalog({
    lexicon: 1,
    id: 'com.example.note',
    defs: {
      main: {
        type: 'record',
        key: 'tid',
        record: {
          type: 'object',
          required: ['title'],
          properties: { title: { type: 'string', maxLength: 5 } },
        },
      },
    },
  })
  const network = createFakeNetwork()
  const alice = network.account()
  alice.create('com.example.note', { title: 'short' })
  alice.create('com.example.note', { title: 'too long' })
  alice.create('com.example.note', {})
  const index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: { note: collection('com.example.note', { columns: { title: text('title') } }) },
    lexicons,
    now: () => network.now(),
  })
  opened.push(index)
  await index.apply(network.events)
  expect((await index.select('note').page()).rows.map(({ title }) => title)).toEqual(['short'])
  expect((await index.deadLetters()).map(({ reason }) => reason).join()).toMatch(/title/)
})

describe('backfill', () => {
  it('gives the same state as live, and live on top of it', async () => {
    const network = createFakeNetwork()
    const [alice, bob] = [network.account(), network.account()]
    const post = alice.create(NSID.POST, { text: 'one' })
    const gone = alice.create(NSID.POST, { text: 'gone' })
    for (let n = 0; n < 3; n++) bob.create(NSID.LIKE, { subject: strongRef(post) })
    alice.delete(gone)
    const live = await open(network)
    await live.apply(network.events)
    const filled = await open(network, { fetch: true })
    const result = await filled.backfill({ repos: network.accounts.map(({ did }) => did) })
    expect(result).toEqual({ synchronized: 2, failed: 0 })
    expect(await filled.stateHash()).toBe(await live.stateHash())
    await filled.apply(network.events)
    expect(await filled.stateHash()).toBe(await live.stateHash())
    expect((await filled.status()).repos.synchronized).toBe(2)
  })

  it('fetches a repo again after a gap and after a sync', async () => {
    const network = createFakeNetwork()
    const alice = network.account()
    alice.create(NSID.POST, { text: 'one' })
    const missed = alice.create(NSID.POST, { text: 'missed' })
    alice.create(NSID.POST, { text: 'three' })
    const issues: IndexIssue[] = []
    const index = await open(network, { fetch: true, issues })
    await index.apply([network.events[0]!, network.events[2]!])
    expect(issues).toEqual([{ kind: 'gap', did: alice.did, rev: alice.rev }])
    expect(await index.get('post', missed)).toBeUndefined()
    await index.backfill({ repos: [] })
    expect((await index.get('post', missed))?.text).toBe('missed')
    alice.replaceSilently([{ collection: NSID.POST, rkey: 'only', record: { text: 'only' } }])
    await index.apply(network.events.slice(-1))
    await index.backfill({ repos: [] })
    expect((await index.select('post').page()).rows.map(({ rkey }) => rkey)).toEqual(['only'])
    expect(await index.audit()).toEqual([])
  })
})

it('wakes live queries for events that waited while their repo was fetched', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  alice.create(NSID.POST, { text: 'one' })
  const index = await open(network)
  const { did, rev = '' } = alice
  const records = [...(alice.snapshot().records as Iterable<SnapshotRecord>)]
  const titles: string[][] = []
  const stop = new AbortController()
  const watching = (async () => {
    for await (const rows of index.select('post').live({ signal: stop.signal })) {
      titles.push(rows.map(({ text: words }) => words))
      if (rows.length === 2) return
    }
  })()
  await index.applySnapshot({
    did,
    rev,
    records: (async function* () {
      yield* records
      alice.create(NSID.POST, { text: 'two' })
      await index.apply(network.events.slice(-1))
    })(),
  })
  await watching
  stop.abort()
  expect(titles.at(-1)).toHaveLength(2)
})

describe('accounts', () => {
  it('hides and shows an account with everything it counts for, and purges a deleted one', async () => {
    const network = createFakeNetwork()
    const [alice, bob] = [network.account(), network.account()]
    const post = alice.create(NSID.POST, { text: 'one' })
    bob.create(NSID.LIKE, { subject: strongRef(post) })
    bob.create(NSID.POST, { text: 'findme' })
    const index = await open(network)
    await index.apply(network.events)
    const shown = await index.stateHash()
    const step = async (): Promise<void> => {
      await index.apply(network.events.slice(-1))
      await index.settle()
    }
    bob.setStatus(false, 'deactivated')
    await step()
    expect((await index.counts([post])).get(post)?.['likeCount']).toBe(0)
    expect((await index.select('post').search('findme').page()).rows).toEqual([])
    expect((await index.notifications(alice.did)).rows).toEqual([])
    bob.setStatus(true)
    await step()
    expect(await index.stateHash()).toBe(shown)
    bob.setStatus(false, 'deleted')
    await step()
    expect((await index.counts([post])).get(post)?.['likeCount']).toBe(0)
    expect(await index.sql('SELECT * FROM "like"')).toEqual([])
    expect(await index.audit()).toEqual([])
    expect((await index.actor(bob.did))?.status).toBe('deleted')
  })

  it('takes a handle from the account that had it before', async () => {
    const network = createFakeNetwork()
    const [alice, bob] = [network.account(), network.account()]
    alice.create(NSID.POST, { text: 'a' })
    bob.create(NSID.POST, { text: 'b' })
    alice.setHandle('name.test')
    bob.setHandle('name.test')
    const index = await open(network)
    await index.apply(network.events)
    expect((await index.actor('name.test'))?.did).toBe(bob.did)
    expect((await index.actor(alice.did))?.handle).toBeUndefined()
  })
})

it('tells how an account stands to records and accounts, in one call', async () => {
  const network = createFakeNetwork()
  const [alice, bob, carol] = [network.account(), network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'one' })
  const other = alice.create(NSID.POST, { text: 'two' })
  const like = bob.create(NSID.LIKE, { subject: strongRef(post) }, 'a')
  bob.create(NSID.LIKE, { subject: strongRef(post) }, 'b')
  const follow = bob.create(NSID.FOLLOW, { subject: alice.did })
  const back = alice.create(NSID.FOLLOW, { subject: bob.did })
  carol.create(NSID.FOLLOW, { subject: bob.did })
  carol.setStatus(false, 'suspended')
  const index = await open(network)
  await index.apply(network.events)
  await index.settle()
  const kinds = {
    like: { from: 'like', path: 'subject' },
    following: { from: 'follow', path: 'subject' },
    followedBy: { from: 'follow', path: 'subject', reverse: true },
  } as const
  const subjects = [post, other, alice.did, carol.did, 'did:plc:never-met']
  const state = await index.relations(bob.did, subjects, kinds)
  expect(Object.fromEntries(state)).toEqual({
    [post]: { like },
    [alice.did]: { following: follow, followedBy: back },
  })
  expect(state.get(post)?.like).toBe(like)
  const odd = { constructor: kinds.like, toString: kinds.following }
  expect((await index.relations(bob.did, [post], odd)).get(post)).toEqual({ constructor: like })
  expect((await index.relations('did:plc:never-met', subjects, kinds)).size).toBe(0)
})

describe('timeline', () => {
  it('merges authors newest first and pages through without gap or double', async () => {
    const network = createFakeNetwork()
    const viewer = network.account()
    const authors = Array.from({ length: 7 }, () => network.account())
    const expected: string[] = []
    for (let n = 0; n < 40; n++) {
      const author = authors[n % 7]!
      // Pairs share their time: ties must survive paging.
      const createdAt = new Date(Date.UTC(2025, 0, 1, 0, Math.floor(n / 2))).toISOString()
      const made =
        n % 5 === 4
          ? author.create(NSID.REPOST, { subject: strongRef(expected[0]!), createdAt, n }, `r${n}`)
          : author.create(NSID.POST, { text: `post ${n}`, createdAt })
      if (n % 5 !== 4) expected.push(made)
    }
    for (const { did } of authors) viewer.create(NSID.FOLLOW, { subject: did })
    const index = await open(network)
    await index.apply(network.events)
    const seen: string[] = []
    const times: number[] = []
    let cursor: string | undefined
    do {
      const page = await index.timeline({
        from: ['post', 'repost'],
        authors: { of: viewer.did, edge: 'follow', column: 'subject' },
        limit: 6,
        cursor,
      })
      for (const { row } of page.rows) {
        seen.push(row.uri)
        times.push(row.sortAt)
      }
      cursor = page.cursor
    } while (cursor !== undefined)
    expect(times).toEqual(times.toSorted((left, right) => right - left))
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.filter((uri) => uri.includes('/app.bsky.feed.post/')).toSorted()).toEqual(
      expected.toSorted(),
    )
    expect(seen.length).toBe(expected.length + 7)
  })
})
