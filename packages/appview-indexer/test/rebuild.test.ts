import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createCatalog } from '@skywright/xrpc'
import { afterEach, beforeEach, expect, it } from 'vitest'

import { collection, integer, json, openIndexer, text, uri } from '../src/index.ts'
import type { AnyCollection, Columns } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork } from '../src/testing/index.ts'
import type { OldRow } from '../src/stores/transaction.ts'
import { bound } from './bound-transaction.ts'
import { NSID, socialCollections, strongRef } from './social.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'index-rebuild-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

it('derives stored documents again when their declaration changes, without the network', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'hello', likes: 7 })
  const bad = alice.create(NSID.POST, { text: 'bad' })
  bob.create(NSID.POST, { text: 'answer', reply: { parent: strongRef(post) } })
  for (let n = 0; n < 50; n++) bob.create(NSID.POST, { text: `n${n}` })
  const path = join(folder, 'index.db')
  const now = (): number => network.now()
  {
    await using index = await openIndexer({
      store: openSqliteIndexStore(path),
      collections: socialCollections(),
      now,
    })
    await index.run(network.source())
    expect((await index.deadLetters()).map(({ uri: letter }) => letter)).toEqual([bad])
  }
  const changed = collection(NSID.POST, {
    columns: { text: text('text'), stars: integer('likes'), parent: uri('reply.parent') },
    counters: { answers: 'parent' },
    search: ['text'],
  })
  const hashes: string[] = []
  // The second run is on a fresh file: the rebuilt one must not differ from it.
  for (const file of [path, join(folder, 'fresh.db')]) {
    await using index = await openIndexer({
      store: openSqliteIndexStore(file),
      collections: { status: changed },
      now,
    })
    await index.run(network.source())
    expect((await index.get('status', post))?.stars).toBe(7)
    expect((await index.get('status', bad))?.text).toBe('bad')
    expect((await index.counts([post])).get(post)).toEqual({ answers: 1 })
    expect((await index.select('status').search('answer').page()).rows).toHaveLength(1)
    expect(await index.select('status').count()).toBe(53)
    expect(await index.deadLetters()).toEqual([])
    expect(await index.audit()).toEqual([])
    hashes.push(await index.stateHash())
  }
  expect(hashes[0]).toBe(hashes[1])
})

it('fetches repos again when rows kept no record, and refuses when it cannot', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'hello' })
  bob.create(NSID.LIKE, { subject: strongRef(post), mood: 'glad' })
  const path = join(folder, 'index.db')
  const now = (): number => network.now()
  {
    await using index = await openIndexer({
      store: openSqliteIndexStore(path),
      collections: { like: socialCollections().like },
      now,
    })
    await index.run(network.source())
  }
  const like = collection(NSID.LIKE, {
    layout: 'edge',
    columns: { subject: uri('subject'), mood: text('mood') },
    counters: { likeCount: 'subject' },
  })
  const store = openSqliteIndexStore(path)
  await expect(openIndexer({ store, collections: { like }, now })).rejects.toMatchObject({
    code: 'SchemaMismatch',
  })
  await store[Symbol.asyncDispose]()
  await using index = await openIndexer({
    store: openSqliteIndexStore(path),
    collections: { like },
    now,
    fetchRepo: network.fetchRepo,
  })
  await index.backfill({ repos: [] })
  expect((await index.select('like').page()).rows.map(({ mood }) => mood)).toEqual(['glad'])
  expect((await index.counts([post])).get(post)).toEqual({ likeCount: 1 })
})

it('derives edges that keep their record without the network, also into documents', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'hello' })
  for (let n = 0; n < 30; n++) bob.create(NSID.LIKE, { subject: strongRef(post), mood: `m${n}` })
  const now = (): number => network.now()
  const subject = uri('subject')
  const declarations: AnyCollection[] = [
    collection(NSID.LIKE, { layout: 'edge', keepRecord: true, columns: { subject } }),
    collection(NSID.LIKE, {
      layout: 'edge',
      keepRecord: true,
      columns: { subject, mood: text('mood') },
      unique: ['subject'],
      counters: { likeCount: 'subject' },
    }),
    collection(NSID.LIKE, { columns: { mood: text('mood') } }),
  ]
  const path = join(folder, 'index.db')
  for (const like of declarations) {
    const hashes: string[] = []
    for (const file of [path, ':memory:']) {
      await using index = await openIndexer({
        store: openSqliteIndexStore(file),
        collections: { like },
        now,
      })
      await index.run(network.source())
      expect((await index.select('like').first())?.record?.['mood']).toMatch(/^m/)
      expect(await index.audit()).toEqual([])
      hashes.push(await index.stateHash())
    }
    expect(hashes[0]).toBe(hashes[1])
  }
})

it('derives a collection again on demand, with events waiting meanwhile', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'hello' })
  const likes = Array.from({ length: 60 }, (_, n) =>
    bob.create(NSID.LIKE, { subject: strongRef(`${post}${n % 7}`) }),
  )
  const path = join(folder, 'index.db')
  await using index = await openIndexer({
    store: openSqliteIndexStore(path),
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
  })
  await index.apply(network.events)
  const done = network.events.length
  for (const like of likes.slice(0, 30)) bob.delete(like)
  alice.update(post, { text: 'edited' })
  {
    // Somebody's hand in what was derived.
    using meddler = new DatabaseSync(path)
    meddler.exec(
      'DELETE FROM ix_link; UPDATE ix_counter SET n = n + 7; DELETE FROM ix_notification',
    )
  }
  const rebuilding = index.rebuild('post')
  const applying = index.apply(network.events.slice(done))
  await Promise.all([rebuilding, applying])
  for (const name of ['like', 'follow', 'repost', 'item', 'profile', 'gate'] as const)
    await index.rebuild(name)
  await index.backfill({ repos: [] })
  await using fresh = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
  })
  await fresh.apply(network.events)
  expect(await index.stateHash()).toBe(await fresh.stateHash())
  expect(await index.audit()).toEqual([])
  await expect(index.rebuild('nothing' as 'post')).rejects.toMatchObject({ code: 'InvalidQuery' })
  // Edges kept no record: their columns say the same.
  const before = await fresh.stateHash()
  await fresh.rebuild('like')
  expect(await fresh.stateHash()).toBe(before)
})

it('judges records again when their lexicon, or one it refers to, has changed', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  alice.create('com.example.note', { part: { size: 5 } })
  alice.create('com.example.note', { part: { size: 500 } })
  const lexicons = (maximum: number) =>
    createCatalog(
      {
        lexicon: 1,
        id: 'com.example.note',
        defs: {
          main: {
            type: 'record',
            key: 'tid',
            record: {
              type: 'object',
              properties: { part: { type: 'ref', ref: 'com.example.part' } },
            },
          },
        },
      },
      {
        lexicon: 1,
        id: 'com.example.part',
        defs: {
          main: { type: 'object', properties: { size: { type: 'integer', maximum } } },
        },
      },
    )
  const counts: unknown[] = []
  for (const maximum of [10, 10, 1_000, 10]) {
    await using index = await openIndexer({
      store: openSqliteIndexStore(join(folder, 'index.db')),
      collections: { note: collection('com.example.note') },
      lexicons: lexicons(maximum),
      now: () => network.now(),
    })
    await index.apply(network.events)
    counts.push([await index.select('note').count(), (await index.deadLetters()).length])
  }
  expect(counts).toEqual([
    [1, 1],
    [1, 1],
    [2, 0],
    [1, 1],
  ])
})

it('judges edges that kept no record by their repos, as soon as these can be fetched', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  bob.create(NSID.LIKE, { subject: strongRef(post), mood: 1 })
  bob.create(NSID.LIKE, { subject: strongRef(post), mood: 100 })
  const lexicons = (maximum: number) =>
    createCatalog({
      lexicon: 1,
      id: NSID.LIKE,
      defs: {
        main: {
          type: 'record',
          key: 'tid',
          record: { type: 'object', properties: { mood: { type: 'integer', maximum } } },
        },
      },
    })
  const like = collection(NSID.LIKE, {
    layout: 'edge',
    columns: { subject: uri('subject') },
    counters: { likeCount: 'subject' },
  })
  const path = join(folder, 'index.db')
  const open = (maximum: number, canFetch: boolean, file = path) =>
    openIndexer({
      store: openSqliteIndexStore(file),
      collections: { like },
      lexicons: lexicons(maximum),
      now: () => network.now(),
      ...(canFetch ? { fetchRepo: network.fetchRepo } : {}),
    })
  const steps = [
    { maximum: 1_000, canFetch: false, likes: 2 },
    // Nobody can tell which.
    { maximum: 10, canFetch: false, likes: 2 },
    { maximum: 10, canFetch: true, likes: 1 },
    { maximum: 10, canFetch: true, likes: 1 },
    { maximum: 1_000, canFetch: false, likes: 2 },
  ]
  for (const { maximum, canFetch, likes } of steps) {
    await using index = await open(maximum, canFetch)
    await index.apply(network.events)
    if (canFetch) await index.backfill({ repos: [] })
    expect([maximum, await index.select('like').count()]).toEqual([maximum, likes])
    expect((await index.counts([post])).get(post)).toEqual({ likeCount: likes })
    expect(await index.countBacklinks({ target: post, from: 'like', path: 'subject' })).toBe(likes)
    expect(await index.deadLetters()).toHaveLength(2 - likes)
    expect(await index.audit()).toEqual([])
    if (!canFetch) continue
    await using fresh = await open(maximum, false, ':memory:')
    await fresh.apply(network.events)
    expect(await index.stateHash()).toBe(await fresh.stateHash())
  }
})

it('goes on judging where it was cut off', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  const notes = 4_600
  for (let n = 0; n < notes; n += 200)
    alice.commit(
      ...Array.from({ length: 200 }, (_, at) => ({
        collection: 'com.example.note',
        record: { size: n + at },
      })),
    )
  const lexicons = (maximum: number) =>
    createCatalog({
      lexicon: 1,
      id: 'com.example.note',
      defs: {
        main: {
          type: 'record',
          key: 'tid',
          record: { type: 'object', properties: { size: { type: 'integer', maximum } } },
        },
      },
    })
  const path = join(folder, 'index.db')
  const open = (maximum: number, store = openSqliteIndexStore(path)) =>
    openIndexer({
      store,
      collections: { note: collection('com.example.note', { counters: { notes: 'did' } }) },
      lexicons: lexicons(maximum),
      now: () => network.now(),
    })
  {
    await using index = await open(notes)
    await index.apply(network.events)
  }
  let judged = 0
  for (let transactions = 3; ; transactions++) {
    const inner = openSqliteIndexStore(path)
    let left = transactions
    const opening = open(4_000, {
      ...inner,
      prepare: (...from) => inner.prepare(...from),
      query: (...from) => inner.query(...from),
      transact: (work) =>
        inner.transact(function* (tx) {
          if (left-- === 0) throw new RangeError('killed')
          const watched = bound(tx)
          return yield* work({
            ...watched,
            rowsAfter: (...from) => {
              const rows = watched.rowsAfter(...from) as readonly OldRow[]
              judged += rows.length
              return rows
            },
          })
        }),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    })
    const index = await opening.catch(async (error: unknown) => {
      expect(error).toBeInstanceOf(RangeError)
      await inner[Symbol.asyncDispose]()
      return undefined
    })
    if (index === undefined) continue
    expect(await index.select('note').count()).toBe(4_001)
    expect(await index.audit()).toEqual([])
    await index[Symbol.asyncDispose]()
    expect(transactions).toBeGreaterThan(4)
    break
  }
  // Each row once.
  expect(judged).toBe(notes)
})

it('finds links in texts that are columns too', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  alice.create(NSID.POST, { text: 'did:plc:somebody' })
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: { post: collection(NSID.POST, { columns: { text: text('text') } }) },
    now: () => network.now(),
  })
  await index.apply(network.events)
  const link = { target: 'did:plc:somebody', from: 'post', path: 'text' } as const
  expect(await index.countBacklinks(link)).toBe(1)
})

it('fills added columns in place, and derives again when anything else changed', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  for (let n = 0; n < 20; n++) alice.create(NSID.POST, { text: `t${n}`, likes: n })
  let derived = 0
  const declare = (columns: Columns, more: object = {}): AnyCollection =>
    collection(NSID.POST, {
      columns,
      derive: {
        tables: { unused: 'n INTEGER' },
        added: () => derived++,
        removed: () => undefined,
      },
      ...more,
    })
  const words = text('text')
  const likes = integer('likes')
  const steps: [AnyCollection, number][] = [
    [declare({ words }), 20],
    [declare({ words, likes }), 0],
    [declare({ first: json('langs'), words, likes }), 0],
    [declare({ words, likes }), 20],
    [declare({ words, likes, parent: uri('reply.parent') }), 20],
    [declare({ words, likes: integer('likes', { required: true }) }), 20],
    [declare({ words, likes: integer('likes', { required: true }) }, { search: ['words'] }), 20],
  ]
  for (const [post, expected] of steps) {
    const hashes: string[] = []
    for (const file of [join(folder, 'index.db'), ':memory:']) {
      derived = 0
      await using index = await openIndexer({
        store: openSqliteIndexStore(file),
        collections: { post },
        now: () => network.now(),
      })
      await index.run(network.source())
      hashes.push(await index.stateHash())
      if (file !== ':memory:') expect(derived).toBe(expected)
    }
    expect(hashes[0]).toBe(hashes[1])
  }
})
