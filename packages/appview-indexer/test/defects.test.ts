/** Mistakes seen in other indexers, each as a test that this one does not make them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'

import { openIndexer } from '../src/index.ts'
import type { IndexEvent, Indexer } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork, fabricateRecord } from '../src/testing/index.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { NSID, socialCollections, strongRef } from './social.ts'
import type { SocialCollections } from './social.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'index-defects-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

function open(network: FakeNetwork): Promise<Indexer<SocialCollections>> {
  return openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
  })
}

/** Applies what the network did since the last call. */
function follower(network: FakeNetwork, index: Indexer<SocialCollections>): () => Promise<void> {
  let done = 0
  return async () => {
    const events = network.events.slice(done)
    done = network.events.length
    await index.apply(events)
    await index.settle()
  }
}

it('1: of three duplicates each takes over in turn, and none stays behind', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  const likes = ['a', 'b', 'c'].map((rkey) =>
    bob.create(NSID.LIKE, { subject: strongRef(post) }, rkey),
  )
  await using index = await open(network)
  const follow = follower(network, index)
  await follow()
  const state = async (): Promise<unknown> => ({
    shown: (await index.select('like').page()).rows.map(({ rkey }) => rkey),
    count: (await index.counts([post])).get(post)?.['likeCount'],
    links: (await index.backlinks({ target: post, from: 'like', path: 'subject' })).rows.length,
    notified: (await index.notifications(alice.did)).rows.map(({ uri }) => uri.at(-1)),
  })
  expect(await state()).toEqual({ shown: ['a'], count: 1, links: 1, notified: ['a'] })
  bob.delete(likes[0]!)
  await follow()
  expect(await state()).toEqual({ shown: ['b'], count: 1, links: 1, notified: ['b'] })
  bob.delete(likes[1]!)
  await follow()
  expect(await state()).toEqual({ shown: ['c'], count: 1, links: 1, notified: ['c'] })
  bob.delete(likes[2]!)
  await follow()
  expect(await state()).toEqual({ shown: [], count: 0, links: 0, notified: [] })
  expect(await index.sql('SELECT * FROM "like"')).toEqual([])
  expect(
    await index.sql('SELECT * FROM ix_link WHERE path IN (SELECT id * 2 + 1 FROM ix_path)'),
  ).toEqual([])
})

it('2: editing a post leaves reposts and quotes of it alone', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  const repost = bob.create(NSID.REPOST, { subject: strongRef(post) })
  bob.create(NSID.POST, { text: 'q', embed: { record: strongRef(post) } })
  alice.update(post, { text: 'edited' })
  await using index = await open(network)
  await follower(network, index)()
  const timeline = await index.timeline({ from: ['post', 'repost'], authors: [bob.did] })
  expect(timeline.rows.map(({ row }) => row.uri)).toContain(repost)
  expect(await index.countBacklinks({ target: post, from: 'post', path: 'quote' })).toBe(1)
})

it('3: quotes are counted by URI, whatever version they quoted', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  await using index = await open(network)
  const follow = follower(network, index)
  bob.create(NSID.POST, { text: 'q1', embed: { record: strongRef(post) } })
  await follow()
  alice.update(post, { text: 'edited' })
  bob.create(NSID.POST, {
    text: 'q2',
    embed: { record: { ...strongRef(post), cid: 'bafyreiother' } },
  })
  await follow()
  expect((await index.counts([post])).get(post)?.['quoteCount']).toBe(2)
})

it('4: a gate works whether it comes before its post, after it, or is changed later', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const root = alice.create(NSID.POST, { text: 'root' }, 'root')
  const reply = bob.create(NSID.POST, {
    text: 'r',
    reply: { parent: strongRef(root), root: strongRef(root) },
  })
  alice.create(NSID.GATE, { allow: 'nobody' }, 'root')
  const gate = network.events.at(-1)!
  const state = async (index: Indexer<SocialCollections>): Promise<unknown> => [
    (await index.get('post', reply)) !== undefined,
    (await index.counts([root])).get(root)?.['replyCount'],
    (await index.notifications(alice.did)).rows.length,
  ]
  for (const order of [network.events, [gate, ...network.events.slice(0, -1)]]) {
    await using index = await open(network)
    // The gate alone, as from another repo: without the chain of its account.
    await index.apply(order.map((event) => (event === gate ? { ...event, did: alice.did } : event)))
    await index.applySnapshot(alice.snapshot())
    expect(await state(index)).toEqual([false, 0, 0])
    // The owner follows the author and lets followed accounts in.
    alice.create(NSID.FOLLOW, { subject: bob.did }, 'f')
    alice.update(`at://${alice.did}/${NSID.GATE}/root`, { allow: 'following' })
    await index.apply(network.events.slice(-2))
    expect(await state(index)).toEqual([true, 1, 1])
    alice.delete(`at://${alice.did}/${NSID.FOLLOW}/f`)
    await index.apply(network.events.slice(-1))
    expect(await state(index)).toEqual([false, 0, 0])
    alice.delete(`at://${alice.did}/${NSID.GATE}/root`)
    await index.apply(network.events.slice(-1))
    expect(await state(index)).toEqual([true, 1, 1])
    expect(await index.audit()).toEqual([])
    alice.create(NSID.GATE, { allow: 'nobody' }, 'root')
  }
})

it('7: a reply seen before its parent is judged again when the parent comes', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const [root, other] = ['root', 'other'].map((name) => `at://${alice.did}/${NSID.POST}/${name}`)
  const good = bob.create(NSID.POST, {
    text: 'g',
    reply: { parent: strongRef(root!), root: strongRef(root!) },
  })
  const wrong = bob.create(NSID.POST, {
    text: 'w',
    reply: { parent: strongRef(root!), root: strongRef(other!) },
  })
  await using index = await open(network)
  const follow = follower(network, index)
  await follow()
  alice.create(NSID.POST, { text: 'root' }, 'root')
  await follow()
  expect(await index.get('post', good)).toBeDefined()
  expect(await index.get('post', wrong)).toBeUndefined()
  expect((await index.counts([root!])).get(root!)?.['replyCount']).toBe(1)
})

it('5: reposting twice shows once', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  bob.create(NSID.REPOST, { subject: strongRef(post) })
  bob.create(NSID.REPOST, { subject: strongRef(post) })
  await using index = await open(network)
  await follower(network, index)()
  expect((await index.timeline({ from: ['repost'], authors: [bob.did] })).rows).toHaveLength(1)
  expect((await index.counts([post])).get(post)?.['repostCount']).toBe(1)
})

it('6: editing a like onto a subject that is liked already loses neither', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const [one, two] = [
    alice.create(NSID.POST, { text: '1' }),
    alice.create(NSID.POST, { text: '2' }),
  ]
  bob.create(NSID.LIKE, { subject: strongRef(one) }, 'a')
  const second = bob.create(NSID.LIKE, { subject: strongRef(two) }, 'b')
  await using index = await open(network)
  const follow = follower(network, index)
  await follow()
  bob.update(second, { subject: strongRef(one) })
  await follow()
  const counts = await index.counts([one, two])
  expect([counts.get(one)?.['likeCount'], counts.get(two)?.['likeCount']]).toEqual([1, 0])
  bob.delete(`at://${bob.did}/${NSID.LIKE}/a`)
  await follow()
  expect((await index.select('like').page()).rows.map(({ rkey }) => rkey)).toEqual(['b'])
  expect(await index.audit()).toEqual([])
})

it('8: a deleted account takes back everything, with the counts of others', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  bob.create(NSID.LIKE, { subject: strongRef(post) })
  bob.create(NSID.REPOST, { subject: strongRef(post) })
  bob.create(NSID.FOLLOW, { subject: alice.did })
  bob.create(NSID.POST, {
    text: 'q',
    embed: { record: strongRef(post) },
    reply: { parent: strongRef(post) },
  })
  bob.setStatus(false, 'deleted')
  await using index = await open(network)
  await follower(network, index)()
  expect(Object.values((await index.counts([post])).get(post)!)).toEqual(
    expect.not.arrayContaining([1]),
  )
  expect((await index.counts([alice.did])).get(alice.did)).toMatchObject({
    followersCount: 0,
    postsCount: 1,
  })
  expect((await index.notifications(alice.did)).rows).toEqual([])
  for (const table of ['like', 'repost', 'follow', 'ix_notification'])
    expect(await index.sql(`SELECT * FROM "${table}"`)).toEqual([])
})

it('9: any account status is kept, known or not', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  const post = alice.create(NSID.POST, { text: 'x' })
  await using index = await open(network)
  const follow = follower(network, index)
  for (const [active, status] of [
    [true, 'desynchronized'],
    [true, 'throttled'],
    [false, 'of-the-future'],
    [false, 'suspended'],
  ] as const) {
    alice.setStatus(active, status)
    await follow()
    expect(await index.actor(alice.did)).toMatchObject({ active, status })
    expect((await index.get('post', post)) !== undefined).toBe(active)
  }
})

it('10: the inactive status of an account never seen before hides what comes later', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  const [commit] = network.events
  bob.setStatus(false, 'takendown')
  await using index = await open(network)
  await index.apply([
    { type: 'account', seq: 1, did: alice.did, active: false, status: 'takendown' },
    commit!,
  ])
  expect(await index.get('post', post)).toBeUndefined()
  expect((await index.actor(alice.did))?.active).toBe(false)
})

it('11: a sync makes the indexer fetch the repo', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  const old = alice.create(NSID.POST, { text: 'old' })
  await using index = await open(network)
  const follow = follower(network, index)
  await follow()
  alice.replaceSilently([{ collection: NSID.POST, rkey: 'new', record: { text: 'new' } }])
  await follow()
  await index.backfill({ repos: [] })
  expect(await index.get('post', old)).toBeUndefined()
  expect((await index.select('post').page()).rows.map(({ rkey }) => rkey)).toEqual(['new'])
})

it('12: a replay notifies nobody again', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  bob.create(NSID.LIKE, { subject: strongRef(post) })
  await using index = await open(network)
  for (let n = 0; n < 3; n++) await index.apply(network.events)
  // Even with the revs forgotten, as after a rewound cursor on another relay.
  await index.applySnapshot(bob.snapshot())
  expect((await index.notifications(alice.did)).rows).toHaveLength(1)
})

it('13 and 14: an edit notifies once, oneself never', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  alice.create(NSID.FOLLOW, { subject: alice.did })
  const post = alice.create(NSID.POST, { text: 'x' })
  alice.create(NSID.LIKE, { subject: strongRef(post) })
  const reply = bob.create(NSID.POST, { text: 'r', reply: { parent: strongRef(post) } })
  await using index = await open(network)
  const follow = follower(network, index)
  await follow()
  bob.update(reply, { text: 'edited', reply: { parent: strongRef(post) } })
  await follow()
  const { rows } = await index.notifications(alice.did)
  expect(rows.map(({ uri, reason }) => [uri, reason])).toEqual([[reply, 'reply']])
})

it('keeps a rev from the far future from locking an account', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  const post = alice.create(NSID.POST, { text: 'x' })
  const poison: IndexEvent = {
    type: 'commit',
    seq: 1,
    did: alice.did,
    rev: 'bzzzzzzzzzzzz',
    ops: [],
  }
  await using index = await open(network)
  await index.apply([poison])
  await index.apply(network.events)
  expect((await index.get('post', post))?.text).toBe('x')
})

it('11: a sync at the indexed rev is a confirmation when it names the same tree, and fetched when it names another', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  const old = alice.create(NSID.POST, { text: 'old' })
  const [commit] = network.events
  if (commit?.type !== 'commit') throw new TypeError('not a commit')
  const [tree, fork] = [new Uint8Array(36).fill(1), new Uint8Array(36).fill(2)]
  let fetched = 0
  const rkey = commit.ops[0]!.rkey
  const forked = fabricateRecord(NSID.POST, rkey, { text: 'forked' })
  const path = join(folder, 'index.db')
  const openFork = (): Promise<Indexer<SocialCollections>> =>
    openIndexer({
      store: openSqliteIndexStore(path),
      collections: socialCollections(),
      now: () => network.now(),
      fetchRepo: (did) => {
        fetched++
        const snapshot = { did, rev: commit.rev, data: fork, records: [forked] }
        return Promise.resolve({ kind: 'snapshot', snapshot })
      },
    })
  const sync = { type: 'sync', did: alice.did, rev: commit.rev } as const
  {
    await using index = await openFork()
    await index.apply([{ ...commit, data: tree }])
    expect(await index.apply([{ ...sync, seq: 2, data: tree }])).toMatchObject({ stale: 1 })
    // A source that proves no tree can only repeat itself.
    expect(await index.apply([{ ...sync, seq: 3 }])).toMatchObject({ stale: 1 })
    await index.backfill({ repos: [] })
    expect((await index.get('post', old))?.text).toBe('old')
  }
  expect(fetched).toBe(0)
  await using index = await openFork()
  for (const times of [1, 1]) {
    await index.apply([{ ...sync, seq: 4, data: fork }])
    await index.backfill({ repos: [] })
    // The second time it is what was fetched.
    expect(fetched).toBe(times)
    expect((await index.get('post', old))?.text).toBe('forked')
  }
  // Of what came without a proof nobody can say that the tree is the same.
  const bob = network.account()
  bob.create(NSID.POST, { text: 'unproven' })
  const unproven = network.events.at(-1)!
  if (unproven.type !== 'commit') throw new TypeError('not a commit')
  await index.apply([unproven])
  await index.apply([{ ...sync, did: bob.did, rev: unproven.rev, seq: 4, data: tree }])
  expect((await index.status()).repos.queued).toBe(1)
  await index.apply([{ ...sync, seq: 4, data: fork }])
  expect((await index.status()).repos.queued).toBe(1)
  await index.apply([{ type: 'account', seq: 4, did: bob.did, active: false, status: 'deleted' }])
  await index.settle()
  // One that waits while the repo is fetched is judged by what was fetched.
  await index.apply([{ ...sync, seq: 5, data: tree }])
  await index.backfill({ repos: [] })
  expect(fetched).toBe(2)
})
