/** What people who ran other indexers complained about, each as a test that it is not so here. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

import { collection, openIndexer, text, uri } from '../src/index.ts'
import type { IndexEvent } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import { NSID, socialCollections, strongRef } from './social.ts'

it('remembers no account that has nothing to index or to hide, however often it is announced', async () => {
  const events: IndexEvent[] = []
  for (let n = 0; n < 500; n++) {
    const did = `did:plc:${String(n).padStart(24, 'a')}`
    const op = { action: 'delete', collection: 'com.example.other', rkey: 'x' } as const
    events.push(
      { type: 'account', seq: n, did, active: true },
      { type: 'identity', seq: n, did },
      { type: 'commit', seq: n, did, rev: `3m${String(n).padStart(11, 'a')}`, ops: [op] },
    )
  }
  for (const [accounts, expected] of [
    ['with-records', 0],
    ['all', 500],
  ] as const) {
    await using index = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections: socialCollections(),
      accounts,
    })
    for (let times = 0; times < 2; times++) await index.apply(events)
    const [row] = await index.sql<{ readonly n: number }>('SELECT count(*) AS n FROM ix_actor')
    expect([accounts, row?.n]).toEqual([accounts, expected])
  }
})

it('fetches no repo again that is indexed up to where it is listed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'index-complaints-'))
  try {
    const network = createFakeNetwork()
    const accounts = Array.from({ length: 40 }, () => network.account())
    for (const account of accounts) account.create(NSID.POST, { text: 'x' })
    const listed = () => accounts.map(({ did, rev = '' }) => ({ did, rev }))
    let fetched = 0
    const open = () =>
      openIndexer({
        store: openSqliteIndexStore(join(folder, 'index.db')),
        collections: { post: collection(NSID.POST, { columns: { text: text('text') } }) },
        now: () => network.now(),
        fetchRepo: (did, options) => {
          fetched++
          return network.fetchRepo(did, options)
        },
      })
    {
      await using index = await open()
      await index.backfill({ repos: listed() })
      expect(fetched).toBe(40)
    }
    // Some wrote while nobody listened.
    for (const account of accounts.slice(0, 3)) account.create(NSID.POST, { text: 'later' })
    await using index = await open()
    await index.backfill({ repos: listed() })
    expect(fetched).toBe(43)
    expect(await index.select('post').count()).toBe(43)
    // Where a listing tells no revs, there is no other way.
    await index.backfill({ repos: accounts.map(({ did }) => did) })
    expect(fetched).toBe(83)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('keeps what others wrote about a record that is deleted, and shows it when the record comes back', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' }, '3laaaaaaaaa22')
  const like = bob.create(NSID.LIKE, { subject: strongRef(post) })
  const reply = bob.create(NSID.POST, { text: 'y', reply: { parent: strongRef(post) } })
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
  })
  const follow = async (): Promise<void> => {
    await index.apply(network.events)
    await index.settle()
  }
  await follow()
  alice.delete(post)
  await follow()
  expect(await index.get('post', post)).toBeUndefined()
  expect(await index.get('like', like)).toBeDefined()
  expect(await index.get('post', reply)).toBeDefined()
  expect(await index.countBacklinks({ target: post, from: 'like', path: 'subject' })).toBe(1)
  alice.create(NSID.POST, { text: 'again' }, '3laaaaaaaaa22')
  await follow()
  expect((await index.counts([post])).get(post)).toMatchObject({ likeCount: 1, replyCount: 1 })
  expect(await index.audit()).toEqual([])
})

it('answers who points at something, for links of any lexicon and at any depth', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const target = alice.create('com.example.thing', { name: 'x' })
  const pointing = bob.create('com.example.list', {
    about: { items: [{ thing: strongRef(target) }, { by: alice.did }] },
  })
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: {
      thing: collection('com.example.thing', {}),
      list: collection('com.example.list', { columns: { first: uri('about.first') } }),
    },
    now: () => network.now(),
  })
  await index.apply(network.events)
  for (const [subject, path] of [
    [target, 'about.items[].thing.uri'],
    [alice.did, 'about.items[].by'],
  ] as const) {
    const { rows } = await index.backlinks({ target: subject, from: 'list', path })
    expect([path, rows.map((row) => row.uri)]).toEqual([path, [pointing]])
  }
})
