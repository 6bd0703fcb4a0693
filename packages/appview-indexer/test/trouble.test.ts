import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atproto } from '@skywright/xrpc/lexicons'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { collection, listRepos, openIndexer, StoreFailureError, text } from '../src/index.ts'
import type { EventSource, Indexer, IndexEvent, IndexIssue, IndexStore } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork, fabricateRecord } from '../src/testing/index.ts'
import { bound } from './bound-transaction.ts'
import { NSID, socialCollections, strongRef } from './social.ts'
import type { SocialCollections } from './social.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'index-trouble-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** A store that refuses some transactions, before they start or after everything was written; or does them and does not say so. */
function unreliable(
  store: IndexStore,
  refuse: () => 'before' | 'inside' | 'after' | undefined,
): IndexStore {
  return {
    dialect: store.dialect,
    prepare: (schema, options) => store.prepare(schema, options),
    query: (sql, parameters) => store.query(sql, parameters),
    transact: async (work) => {
      const how = refuse()
      if (how === 'before') throw new StoreFailureError('database is gone')
      if (how === undefined) return store.transact(work)
      if (how === 'after') {
        await store.transact(work)
        throw new StoreFailureError('connection lost')
      }
      return store.transact(function* (tx) {
        yield* work(tx)
        throw new StoreFailureError('disk is full')
      })
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

it('loses nothing while the database refuses, says so, and goes on without a restart', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const post = alice.create(NSID.POST, { text: 'x' })
  for (let n = 0; n < 50; n++) {
    bob.create(NSID.LIKE, { subject: strongRef(post) })
    bob.create(NSID.POST, { text: `n${n}` })
  }
  const calm = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
  })
  await calm.apply(network.events)
  const expected = await calm.stateHash()
  await calm[Symbol.asyncDispose]()

  const issues: IndexIssue[] = []
  const waits: number[] = []
  let transactions = 0
  let refusing = false
  await using index = await openIndexer({
    store: unreliable(openSqliteIndexStore(join(folder, 'index.db')), () => {
      if (!refusing) return undefined
      transactions++
      if (transactions % 9 < 6) return transactions % 2 === 0 ? 'before' : 'inside'
      return undefined
    }),
    collections: socialCollections(),
    now: () => network.now(),
    maxBatchEvents: 5,
    onIssue: (issue) => issues.push(issue),
    delay: async (ms) => {
      waits.push(ms)
    },
  })
  refusing = true
  await index.run(network.source())
  refusing = false
  expect(await index.stateHash()).toBe(expected)
  expect(await index.audit()).toEqual([])
  const failures = issues.filter(({ kind }) => kind === 'store-failed')
  expect(failures.length).toBeGreaterThan(10)
  expect(waits.length).toBe(failures.length)
  expect(Math.max(...waits)).toBeGreaterThan(Math.min(...waits))
})

it('keeps fetching, looking handles up and reconciling after the database was gone meanwhile', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  alice.create(NSID.POST, { text: 'missed' })
  alice.create(NSID.POST, { text: 'seen' })
  bob.create(NSID.POST, { text: 'x' })
  let gone = false
  let refused = 0
  const issues: IndexIssue[] = []
  const drift: unknown[] = []
  await using index = await openIndexer({
    store: unreliable(openSqliteIndexStore(join(folder, 'index.db')), () => {
      if (gone) refused++
      return gone ? 'before' : undefined
    }),
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
    resolveHandle: async (did) => (did === alice.did ? 'alice.test' : null),
    reconcileEvery: { intervalMs: 1, sample: 2 },
    onReconcile: (result) => drift.push(result),
    delay: () => new Promise((resolve) => setTimeout(resolve, 1)),
    onIssue: (issue) => issues.push(issue),
  })
  const stop = new AbortController()
  const waiting: EventSource = {
    name: 'relay',
    async *events({ signal }) {
      gone = true
      // Every worker has met the refusing database before the first event comes.
      while (refused < 20) await new Promise((resolve) => setImmediate(resolve))
      gone = false
      // A gap: only the fetch brings the first post.
      yield network.events[1]!
      yield network.events[2]!
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    },
  }
  const running = index.run(waiting, { signal: stop.signal })
  const complete = async (): Promise<boolean> =>
    (await index.select('post').count()) === 3 &&
    (await index.actor('alice.test')) !== undefined &&
    drift.length > 0
  while (!(await complete())) await new Promise((resolve) => setImmediate(resolve))
  stop.abort()
  await running
  expect(issues.filter(({ kind }) => kind === 'store-failed').length).toBeGreaterThan(0)
})

it('leaves no repo claimed when the database did not say that it was, or refused to let go of it', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  alice.create(NSID.POST, { text: 'x' })
  const answers: ('before' | 'after' | undefined)[] = []
  let fails = true
  await using index = await openIndexer({
    store: unreliable(openSqliteIndexStore(join(folder, 'index.db')), () => answers.shift()),
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: async (did, options) => {
      if (!fails) return network.fetchRepo(did, options)
      answers.push('before', 'before', 'after', 'before')
      throw new TypeError('on purpose')
    },
    delay: () => new Promise((resolve) => setImmediate(resolve)),
  })
  // Queued, then claimed without an answer, then let go at the third try.
  answers.push(undefined, 'after', 'before', 'before')
  await expect(index.backfill({ repos: [alice.did], concurrency: 1 })).rejects.toBeInstanceOf(
    StoreFailureError,
  )
  expect((await index.status()).repos).toMatchObject({ fetching: 0, queued: 1 })
  expect(await index.backfill({ repos: [], concurrency: 1 })).toEqual({
    synchronized: 0,
    failed: 1,
  })
  expect((await index.status()).repos).toMatchObject({ fetching: 0, failed: 1 })
  fails = false
  expect(await index.backfill({ repos: [alice.did] })).toEqual({ synchronized: 1, failed: 0 })
})

it('sets aside an event it fails on, fetches its repo instead, and goes on', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  alice.create(NSID.POST, { text: 'one' })
  const poison = bob.create(NSID.POST, { text: 'poison' }, 'p')
  const after = alice.create(NSID.POST, { text: 'two' })
  const issues: IndexIssue[] = []
  let failing = true
  const inner = openSqliteIndexStore(':memory:')
  await using index = await openIndexer({
    store: {
      ...unreliable(inner, () => undefined),
      transact: (work) =>
        inner.transact((tx) =>
          work({
            ...bound(tx),
            write: (changes) => {
              if (failing && changes.rowPuts.some(({ row }) => row.rkey === 'p'))
                throw new RangeError('a bug')
              return tx.write(changes)
            },
          }),
        ),
    },
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: async (did, options) => {
      failing = false
      return network.fetchRepo(did, options)
    },
    onIssue: (issue) => issues.push(issue),
  })
  await index.run(network.source())
  expect(issues.filter(({ kind }) => kind === 'event-failed')).toMatchObject([
    { did: bob.did, seq: 2 },
  ])
  expect(await index.get('post', after)).toBeDefined()
  expect(await index.cursor('memory:')).toBe(3)
  await index.backfill({ repos: [bob.did] })
  expect((await index.get('post', poison))?.text).toBe('poison')
})

it('goes on past a record whose own statements the database refuses, live and in a group of repos', async () => {
  const network = createFakeNetwork()
  const [alice, bob, carol] = [network.account(), network.account(), network.account()]
  const write = (): void => {
    for (const account of [alice, bob, carol]) account.create(NSID.POST, { text: 'x' })
  }
  write()
  bob.create(NSID.POST, { text: 'too much' })
  write()
  const post = collection(NSID.POST, {
    columns: { text: text('text') },
    derive: {
      tables: { lengths: 'n INTEGER NOT NULL CHECK (n < 5)' },
      added: (row, sql, own) => {
        sql(`INSERT INTO ${own('lengths')} VALUES (?)`, [String(row.text).length])
      },
      removed: () => undefined,
    },
  })
  for (const live of [true, false]) {
    const issues: IndexIssue[] = []
    let refusals = 0
    await using index = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections: { post },
      now: () => network.now(),
      fetchRepo: network.fetchRepo,
      onIssue: (issue) => {
        issues.push(issue)
        // What nobody can mend is not tried for ever.
        if (issue.kind === 'store-failed' && refusals++ > 3) throw new Error('stuck')
      },
      delay: () => new Promise((resolve) => setImmediate(resolve)),
    })
    const repos = network.accounts.map(({ did }) => did)
    if (live) await index.run(network.source())
    else
      expect(await index.backfill({ repos, concurrency: 3 })).toEqual({
        synchronized: 2,
        failed: 1,
      })
    const rows = await index.select('post').page()
    const count = (did: string): number => rows.rows.filter((row) => row.did === did).length
    expect([alice, carol].map(({ did }) => count(did))).toEqual([2, 2])
    const [lengths] = await index.sql<{ n: number }>('SELECT count(*) AS n FROM lengths')
    expect(lengths?.n).toBe(rows.rows.length)
    expect(issues.map(({ kind }) => kind)).toContain(live ? 'event-failed' : 'repo-failed')
    await expect(index.sql('SELECT nothing')).rejects.toMatchObject({ retryable: false })
  }
})

it('reports a locked database as a store failure and continues when it is free', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  for (let n = 0; n < 200; n++) alice.create(NSID.POST, { text: 'long '.repeat(200) })
  const path = join(folder, 'index.db')
  await using index = await openIndexer({
    store: openSqliteIndexStore(path, { busyTimeoutMs: 20 }),
    collections: socialCollections(),
    now: () => network.now(),
  })
  // Another process holds the write lock for longer than the store waits: the database is there and refuses.
  using blocker = new DatabaseSync(path)
  blocker.exec('BEGIN IMMEDIATE')
  await expect(index.apply(network.events)).rejects.toMatchObject({
    code: 'StoreFailure',
    retryable: true,
  })
  blocker.exec('ROLLBACK')
  expect((await index.apply(network.events)).records).toBe(200)
})

describe('bad input', () => {
  it('survives hostile records: nothing is fatal, everything bad is a dead letter', async () => {
    const network = createFakeNetwork()
    const alice = network.account()
    const post = alice.create(NSID.POST, { text: 'fine', createdAt: '0000-01-01T00:00:00Z' })
    const self = `at://${alice.did}/${NSID.POST}/self`
    const records: [string, Record<string, unknown>][] = [
      [
        'self',
        { text: 'reply to itself', reply: { parent: strongRef(self), root: strongRef(self) } },
      ],
      ['future', { text: 'future', createdAt: '9999-12-31T23:59:59Z' }],
      ['nodate', { text: 'no date', createdAt: 'yesterday' }],
      [
        'links',
        {
          text: 'links',
          embed: Array.from({ length: 2_000 }, (_, n) => ({
            uri: `at://${alice.did}/${NSID.POST}/l${n}`,
          })),
        },
      ],
      [
        'badlinks',
        {
          text: 'links',
          reply: { parent: { uri: 'at://handle.test/x/y' } },
          more: 'at://did:plc:x/not an nsid/..',
        },
      ],
      ['proto', { text: 'proto', ['__proto__x']: { constructor: 'x' } }],
      ['nul', { text: 'a\u0000b' }],
      ['big', { text: 'x'.repeat(900_000) }],
      ['toobig', { text: 'x'.repeat(1_100_000) }],
    ]
    for (const [rkey, record] of records) alice.create(NSID.POST, record, rkey)
    const garbage: IndexEvent = {
      type: 'commit',
      seq: network.events.length + 1,
      did: alice.did,
      rev: '3mzzzzzzzzzzy',
      since: alice.rev!,
      ops: [
        {
          action: 'create',
          collection: NSID.POST,
          rkey: 'garbage',
          cid: new Uint8Array(36),
          record: new Uint8Array([0xff, 1]),
        },
        {
          action: 'create',
          collection: NSID.POST,
          rkey: 'list',
          cid: new Uint8Array(36),
          record: new Uint8Array([0x80]),
        },
        {
          action: 'create',
          collection: NSID.POST,
          rkey: '../up',
          ...pick(fabricateRecord(NSID.POST, 'x', { text: 'x' })),
        },
        {
          action: 'create',
          collection: NSID.POST,
          rkey: 'r'.repeat(512),
          ...pick(fabricateRecord(NSID.POST, 'x', { text: 'long key' })),
        },
        { action: 'delete', collection: NSID.POST, rkey: 'never-there' },
      ],
    }
    const flood: IndexEvent = {
      type: 'commit',
      seq: garbage.seq + 1,
      did: alice.did,
      rev: '3mzzzzzzzzzzz',
      since: garbage.rev,
      ops: Array.from({ length: 200 }, (_, n) => ({
        action: 'create' as const,
        collection: NSID.LIKE,
        rkey: `flood${n}`,
        ...pick(fabricateRecord(NSID.LIKE, 'x', { subject: strongRef(post), n })),
      })),
    }
    await using index = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections: socialCollections(),
      now: () => Date.UTC(2040, 0),
    })
    await index.apply([...network.events, garbage, flood])
    expect(
      (await index.deadLetters()).map(({ uri }) => uri.split('/').at(-1) ?? '').toSorted(),
    ).toEqual(['garbage', 'list', 'toobig', 'up'])
    expect(await index.select('post').count()).toBe(1 + records.length - 1 + 1)
    expect((await index.get('post', `at://${alice.did}/${NSID.POST}/future`))?.sortAt).toBe(
      Date.UTC(2040, 0),
    )
    expect((await index.get('post', post))?.sortAt).toBeLessThan(-6e13)
    expect((await index.counts([post])).get(post)?.['likeCount']).toBe(1)
    expect((await index.select('post').search('ab').page()).rows).toEqual([])
    expect(await index.audit()).toEqual([])
  })

  it('takes what lexicons leave open, keeps out what they do not, and is not led in circles', async () => {
    const network = createFakeNetwork()
    const alice = network.account()
    const base = { text: 'x', createdAt: '2025-01-01T00:00:00Z' }
    const at = (rkey: string) => strongRef(`at://${alice.did}/${NSID.POST}/${rkey}`)
    const reply = (rkey: string) => ({ ...base, reply: { root: at(rkey), parent: at(rkey) } })
    const pollution = JSON.parse('{"__proto__":{"polluted":true}}') as object
    const records: Record<string, object> = {
      'unknown-embed': { ...base, embed: { $type: 'com.example.unknown', anything: 1 } },
      'unknown-facet': {
        ...base,
        facets: [{ index: { byteStart: 0, byteEnd: 1 }, features: [{ $type: 'com.example.x' }] }],
      },
      'to-each-other': reply('and-back'),
      'and-back': reply('to-each-other'),
      'to-itself': reply('to-itself'),
      proto: { ...pollution, ...base },
      'no-type': { ...base, embed: { anything: 1 } },
      'no-date': { ...base, createdAt: '-9999-12-31T23:59:59.999Z' },
      'no-text': { createdAt: base.createdAt },
    }
    for (const [rkey, record] of Object.entries(records))
      alice.create(NSID.POST, { ...record }, rkey)
    await using index = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections: socialCollections(),
      lexicons: atproto,
      now: () => network.now(),
    })
    await index.apply(network.events)
    const refused = (await index.deadLetters()).map(({ uri }) => uri.split('/').at(-1))
    expect(refused).toEqual(['no-date', 'no-text', 'no-type'])
    expect(await index.select('post').count()).toBe(4)
    expect('polluted' in {}).toBe(false)
    expect(await index.audit()).toEqual([])
  })

  it('refuses numbers that would stop it or lift its bounds', async () => {
    const network = createFakeNetwork()
    const store = openSqliteIndexStore(':memory:')
    const open = (options: object): Promise<Indexer<SocialCollections>> =>
      openIndexer({
        store,
        collections: socialCollections(),
        fetchRepo: network.fetchRepo,
        ...options,
      })
    for (const number of [0, -1, 1.5, Number.NaN, Infinity])
      await expect(open({ maxBatchEvents: number }), String(number)).rejects.toThrow(RangeError)
    for (const key of ['perAccount', 'bytesPerAccount', 'total', 'totalBytes'])
      for (const number of [-1, Number.NaN, undefined])
        await expect(open({ deadLetterLimits: { [key]: number } })).rejects.toThrow(RangeError)
    await using index = await open({ maxBatchEvents: 1, deadLetterLimits: { total: Infinity } })
    for (const concurrency of [0, -1, 1.5, Number.NaN])
      await expect(index.backfill({ repos: [], concurrency })).rejects.toThrow(RangeError)
  })

  it('refuses bad cursors, limits, columns and searches with typed errors', async () => {
    const network = createFakeNetwork()
    const alice = network.account()
    for (let n = 0; n < 3; n++) alice.create(NSID.POST, { text: `${n}` })
    await using index = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections: socialCollections(),
      now: () => network.now(),
    })
    await index.apply(network.events)
    const page = await index.select('post').page({ limit: 1 })
    const bad = [
      '',
      'x',
      '!!!',
      btoa('[1]'),
      btoa('[2,"post.sortAt.d",1,1]'),
      btoa('[1,"post.sortAt.d","a",1]'),
    ]
    for (const cursor of bad)
      await expect(index.select('post').page({ cursor })).rejects.toMatchObject({
        code: 'InvalidCursor',
      })
    await expect(
      index.select('post').orderBy('sortAt').page({ cursor: page.cursor }),
    ).rejects.toMatchObject({ code: 'InvalidCursor' })
    for (const limit of [0, -1, 1.5, 1_001, Number.NaN])
      await expect(index.select('post').page({ limit })).rejects.toMatchObject({
        code: 'InvalidQuery',
      })
    for (const limit of [0, -1, 1.5, 1_001, Number.NaN])
      await expect(index.deadLetters({ limit })).rejects.toMatchObject({ code: 'InvalidQuery' })
    expect(() => index.select('post').where({ 'x" OR 1': 'x' } as never)).toThrow(/no column/)
    expect(() => index.select('nothing' as 'post')).toThrow(/no collection/)
    for (const words of ['"', '" OR text:x', '* * *', 'NEAR(', "'); DROP TABLE post", '---'])
      expect((await index.select('post').search(words).page()).rows).toEqual([])
    await expect(index.select('post').search('x'.repeat(1_001)).page()).rejects.toMatchObject({
      code: 'InvalidQuery',
    })
  })
})

it('purges an account in bounded transactions, however many of its records were refused', async () => {
  const network = createFakeNetwork()
  const [alice, bob] = [network.account(), network.account()]
  const uri = alice.create(NSID.POST, { text: 'x' })
  for (let n = 0; n < 13; n++)
    bob.commit(
      ...Array.from({ length: 200 }, (_, at) => ({
        collection: NSID.POST,
        record: { text: at % 4 === 0 ? 'fine' : 'bad', reply: { parent: strongRef(uri) } },
      })),
    )
  bob.setStatus(false, 'deleted')
  const inner = openSqliteIndexStore(':memory:')
  const deletes: number[] = []
  await using index = await openIndexer({
    store: {
      ...unreliable(inner, () => undefined),
      transact: (work) =>
        inner.transact((tx) =>
          work({
            ...bound(tx),
            write: (changes) => {
              deletes.push(changes.deadDeletes.length)
              return tx.write(changes)
            },
          }),
        ),
    },
    collections: socialCollections(),
    deadLetterLimits: { perAccount: 10_000 },
    now: () => network.now(),
  })
  await index.apply(network.events.slice(0, -1))
  expect((await index.status()).deadLetters).toBe(1_950)
  deletes.length = 0
  await index.apply(network.events.slice(-1))
  await index.settle()
  expect((await index.status()).deadLetters).toBe(0)
  expect(await index.select('post').count()).toBe(1)
  expect((await index.counts([uri])).get(uri)?.['replyCount']).toBe(0)
  expect(Math.max(...deletes)).toBeLessThanOrEqual(2_000)
  expect(deletes.length).toBeGreaterThan(1)
})

it('is not held by a host that lists for ever, slowly, or at length', async () => {
  const page = (body: unknown): Response => Response.json(body)
  let pages = 0
  const answers: Record<
    string,
    (signal: AbortSignal | null | undefined) => Response | Promise<Response>
  > = {
    'no repos, always another cursor': () => page({ repos: [], cursor: `c${pages}` }),
    'a cursor as long as a book': () => page({ repos: [], cursor: 'c'.repeat(100_000) }),
    'nothing at all': (signal) =>
      new Promise((_, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason as Error)),
      ),
    'no listing': () => page({ hosts: [] }),
    'a page': () => new Response('<html>'),
    'too much': () => new Response('x'.repeat(5_000_000)),
    'an error': () => new Response('', { status: 503 }),
  }
  for (const [name, answer] of Object.entries(answers)) {
    pages = 0
    const fetch = async (_url: unknown, init?: RequestInit): Promise<Response> => {
      if (++pages > 1_000) throw new Error('still asking')
      return answer(init?.signal)
    }
    const list = async (): Promise<void> => {
      for await (const _ of listRepos({ service: 'https://relay.test', fetch, timeoutMs: 50 }));
    }
    await expect(list(), name).rejects.toThrow(/^(?!still asking)/)
    expect(pages, name).toBeLessThanOrEqual(101)
  }
  // The same cursor again is an end, as some hosts end.
  const found: string[] = []
  const fetch = async (): Promise<Response> => page({ repos: [{ did: 'did:plc:a' }], cursor: 'x' })
  for await (const { did } of listRepos({ service: 'https://relay.test', fetch })) found.push(did)
  expect(found).toEqual(['did:plc:a', 'did:plc:a'])
})

it('does not ask for a large repo again at once that broke off half way', async () => {
  const network = createFakeNetwork()
  const alice = network.account()
  for (let n = 0; n < 2_500; n++) alice.create(NSID.POST, { text: `n${n}` })
  let isBroken = true
  let fetched = 0
  let now = network.now()
  const issues: IndexIssue[] = []
  await using index = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => now,
    onIssue: (issue) => issues.push(issue),
    fetchRepo: async (did, asked) => {
      if (++fetched > 10) throw new Error('asked for without end')
      const found = await network.fetchRepo(did, asked)
      if (found.kind !== 'snapshot') throw new TypeError('a snapshot was expected')
      const { records, ...snapshot } = found.snapshot
      return {
        ...found,
        snapshot: {
          ...snapshot,
          records: (async function* () {
            let count = 0
            for await (const record of records) {
              if (isBroken && ++count > 2_200) throw new Error('broke off')
              yield record
            }
          })(),
        },
      }
    },
  })
  expect(await index.backfill({ repos: [alice.did] })).toEqual({ synchronized: 0, failed: 1 })
  expect(fetched).toBe(1)
  expect(issues).toMatchObject([{ kind: 'repo-failed', did: alice.did, attempt: 1 }])
  isBroken = false
  now += 60_000
  expect(await index.backfill({ repos: [] })).toEqual({ synchronized: 1, failed: 0 })
  expect(fetched).toBe(2)
  expect(await index.select('post').count()).toBe(2_500)
})

it('reconcile finds and repairs what differs from the repos', async () => {
  const network = createFakeNetwork()
  const accounts = Array.from({ length: 6 }, () => network.account())
  for (const account of accounts)
    for (let n = 0; n < 3; n++) account.create(NSID.POST, { text: `p${n}` })
  const path = join(folder, 'index.db')
  const issues: IndexIssue[] = []
  await using index = await openIndexer({
    store: openSqliteIndexStore(path),
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
    onIssue: (issue) => issues.push(issue),
    random: seeded(),
  })
  await index.apply(network.events)
  const expected = await index.stateHash()
  expect(await index.reconcile({ sample: 6 })).toMatchObject({
    drifted: [],
    behind: [],
    failed: [],
  })
  // Somebody's hand in the database.
  using meddler = new DatabaseSync(path)
  meddler.exec("UPDATE post SET cid = x'00' WHERE id = (SELECT min(id) FROM post)")
  const result = await index.reconcile({ repos: accounts.map(({ did }) => did) })
  expect(result).toMatchObject({ compared: 6, drifted: [{ did: accounts[0]!.did, records: 1 }] })
  expect(issues.filter(({ kind }) => kind === 'drift')).toHaveLength(1)
  expect(await index.stateHash()).toBe(expected)
})

function pick({ cid, record }: { cid: Uint8Array; record: Uint8Array }): {
  cid: Uint8Array
  record: Uint8Array
} {
  return { cid, record }
}

function seeded(): () => number {
  let state = 7
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
}
