import assert from 'node:assert/strict'

import { collection } from '../collection.ts'
import type { AnyCollection, CollectionDeclaration } from '../collection.ts'
import { boolean, did, integer, json, text, uri } from '../column.ts'
import type { Column } from '../column.ts'
import { ask } from '../engine/steps.ts'
import type { IndexLabel } from '../event.ts'
import type { Indexer, IndexIssue } from '../indexer.ts'
import { openIndexer } from '../open-indexer.ts'
import { compileSchema } from '../schema.ts'
import type { IndexStore } from '../stores/port.ts'
import { didOf } from '../target.ts'
import { createFakeNetwork } from './fake-network.ts'
import type { FakeNetwork, FakeWrite } from './fake-network.ts'

/** One rule every index store must obey; `run` rejects when the store breaks it. */
export interface IndexStoreCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/** An empty database of its own for one case, opened once or several times after each other. */
export interface TestDatabase {
  open(): IndexStore
  drop(): Promise<void> | void
}

/**
 * The rules of the {@link IndexStore} port as cases for any test runner:
 *
 * `for (const { name, run } of indexStoreCases(create)) it(name, run)`
 */
export function indexStoreCases(
  create: () => TestDatabase | Promise<TestDatabase>,
): readonly IndexStoreCase[] {
  return CASES.map(([name, run]) => ({
    name,
    run: async () => {
      const database = await create()
      try {
        await run(database)
      } finally {
        await database.drop()
      }
    },
  }))
}

const NOTE = 'com.example.note'
const STAR = 'com.example.star'
const FOLLOW = 'com.example.follow'
const SEAL = 'com.example.seal'

type Collections = {
  readonly note: CollectionDeclaration<{
    readonly title: Column<string | undefined>
    readonly size: Column<number | undefined>
    readonly parent: Column<string | undefined>
  }>
  readonly star: CollectionDeclaration<{ readonly note: Column<string> }>
  readonly follow: CollectionDeclaration<{ readonly subject: Column<string> }>
  readonly seal: CollectionDeclaration<Record<never, never>>
}

/** Every facet of a declaration: both layouts, two kinds of uniqueness, a gate, search, own tables. */
function declare(version = 1): Collections {
  return {
    note: collection(NOTE, {
      version,
      columns: {
        title: text('title', { index: true }),
        size: integer('size'),
        parent: uri('parent'),
      },
      counters: { notes: 'did', answers: { on: 'parent', where: (row) => row.size !== 0 } },
      notify: (row) => {
        const recipient = didOf(row.parent)
        return recipient === undefined ? [] : [{ recipient, reason: 'answer', subject: row.parent }]
      },
      gate: {
        dependsOn: ['seal', 'follow'],
        allow: (row, lookup) => {
          const owner = didOf(row.parent)
          if (row.parent === undefined || owner === undefined) return true
          if (lookup.record(row.parent.replace(NOTE, SEAL)) === undefined) return true
          return lookup.linked({ from: 'follow', path: 'subject', did: owner, to: row.did })
        },
      },
      derive: {
        tables: { title_length: 'title TEXT PRIMARY KEY, n INTEGER NOT NULL' },
        indexes: { title_length: ['n, title'] },
        added: (row, sql, own) => {
          sql(
            `INSERT INTO ${own('title_length')} AS t VALUES (?, ?) ON CONFLICT (title) DO UPDATE SET n = t.n + 1`,
            [row.title ?? '', 1],
          )
        },
        removed: (row, sql, own) => {
          sql(`UPDATE ${own('title_length')} SET n = n - 1 WHERE title = ?`, [row.title ?? ''])
        },
      },
      search: ['title'],
      indexes: [['did', '-sortAt']],
    }),
    star: collection(STAR, {
      layout: 'edge',
      columns: { note: uri('note', { required: true }) },
      unique: ['note'],
      counters: { stars: 'note' },
    }),
    follow: collection(FOLLOW, {
      layout: 'edge',
      keepRecord: true,
      columns: { subject: did('subject', { required: true }) },
      unique: ['subject'],
      counters: { followers: 'subject' },
    }),
    seal: collection(SEAL, { links: false }),
  }
}

async function openOn(
  database: TestDatabase,
  network: FakeNetwork,
  version = 1,
): Promise<Indexer<Collections>> {
  return openIndexer({
    store: database.open(),
    collections: declare(version),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
  })
}

/** A history that meets every facet, the same each time. */
function play(): FakeNetwork {
  const network = createFakeNetwork()
  const [alice, bob, carol] = [network.account(), network.account(), network.account()]
  const root = alice.create(NOTE, { title: 'The Root', createdAt: '2025-06-01T00:00:00Z' }, 'root')
  for (let n = 0; n < 30; n++) {
    const author = [alice, bob, carol][n % 3] ?? alice
    const createdAt = new Date(Date.UTC(2025, 6, 1, 0, Math.floor(n / 2))).toISOString()
    author.create(NOTE, { title: `note ${n}`, size: n % 4, parent: root, createdAt }, `n${n}`)
    author.create(STAR, { note: `at://${alice.did}/${NOTE}/n${n % 9}`, n }, `s${n}`)
  }
  alice.create(SEAL, {}, 'root')
  alice.create(FOLLOW, { subject: bob.did }, 'f')
  bob.delete(`at://${bob.did}/${NOTE}/n4`)
  bob.delete(`at://${bob.did}/${STAR}/s1`)
  carol.update(`at://${carol.did}/${NOTE}/n5`, { title: 'edited', parent: root })
  carol.create(STAR, { note: 7 }, 'dead')
  const gone = network.account()
  gone.create(STAR, { note: root })
  gone.setStatus(false, 'deleted')
  const hidden = network.account()
  hidden.create(STAR, { note: root })
  hidden.create(NOTE, { title: 'hidden' })
  hidden.setStatus(false, 'suspended')
  return network
}

/** Digest of {@link play}, the same on every store. */
const STATE_HASH = '88fb40406179c8ad8ee54eb9f1cd45cbdf88f44fdd89385c476156b46d0b1bae'

const CASES: readonly (readonly [string, (database: TestDatabase) => Promise<void>])[] = [
  [
    'keeps the same state as every other store',
    async (database) => {
      const network = play()
      await using index = await openOn(database, network)
      await index.run(network.source())
      await index.settle()
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
      const own = await index.sql<{ n: number }>('SELECT sum(n) AS n FROM title_length')
      assert.equal(Number(own[0]?.n), await index.select('note').count())
      for (const name of ['note', 'follow'] as const) await index.rebuild(name)
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
    },
  ],
  [
    'ends in the same state whatever the batches, the replays and the order of repos',
    async (database) => {
      const network = play()
      await using index = await openOn(database, network)
      const backwards = network.accounts
        .toReversed()
        .flatMap(({ did: author }) => network.events.filter((event) => event.did === author))
      for (let at = 0; at < backwards.length; at += 3) {
        await index.apply(backwards.slice(at, at + 3))
        await index.apply(backwards.slice(Math.max(0, at - 5), at + 2))
      }
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
    },
  ],
  [
    'ends in the same state after a backfill beside the stream, with processes in between',
    async (database) => {
      const network = play()
      {
        await using index = await openOn(database, network)
        await Promise.all([
          index.apply(network.events.slice(0, 20)),
          index.backfill({ repos: network.accounts.slice(0, 2).map((account) => account.did) }),
        ])
      }
      await using index = await openOn(database, network)
      await Promise.all([
        index.run(network.source()),
        index.backfill({ repos: network.accounts.map((account) => account.did) }),
      ])
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
    },
  ],
  [
    'derives stored rows again when a declaration changed, and fetches those that kept no record',
    async (database) => {
      const network = play()
      {
        await using index = await openOn(database, network)
        await index.run(network.source())
        await index.settle()
      }
      await using index = await openOn(database, network, 2)
      assert.equal(await index.stateHash(), STATE_HASH)
      assert.deepEqual(await index.audit(), [])
      assert.equal((await index.select('note').search('edited').page()).rows.length, 0)
    },
  ],
  [
    'keeps nothing of a transaction that failed, and works on',
    async (database) => {
      const network = play()
      const store = database.open()
      const schema = compileSchema(declare())
      await store.prepare(schema, { canFetch: false, shard: { index: 0, count: 1 } })
      await assert.rejects(
        store.transact(function* (tx) {
          const [actor] = yield* ask(tx.actors(['did:plc:x'], true))
          yield* ask(tx.targets([`at://did:plc:x/${NOTE}/a`]))
          yield* ask(tx.setCursor('relay', 7, 0))
          if (actor !== undefined) yield* ask(tx.putActors([{ ...actor, rev: '3mzzzzzzzzzzz' }]))
          throw new RangeError('on purpose')
        }),
        RangeError,
      )
      assert.deepEqual(await store.query('SELECT * FROM ix_source', []), [])
      assert.deepEqual(await store.query('SELECT * FROM ix_actor WHERE rev IS NOT NULL', []), [])
      await store[Symbol.asyncDispose]()
      await using index = await openOn(database, network)
      await index.run(network.source())
      assert.equal(await index.stateHash(), STATE_HASH)
    },
  ],
  [
    'stores the cursor with the batch and gives it back',
    async (database) => {
      const network = play()
      {
        await using index = await openOn(database, network)
        await index.apply(network.events.slice(0, 5), { source: 'relay' })
        assert.equal(await index.cursor('other'), undefined)
      }
      await using index = await openOn(database, network)
      assert.equal(await index.cursor('relay'), 5)
    },
  ],
  [
    'fills columns that were added, from one start to the next, and derives again what they refuse',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      for (let n = 0; n < 40; n++)
        alice.create(NOTE, { title: `t${n}`, size: n, flag: n % 2 === 0, more: { n } }, `n${n}`)
      const steps: AnyCollection[] = [
        collection(NOTE, { columns: { title: text('title') }, counters: { notes: 'did' } }),
        collection(NOTE, {
          columns: { flag: boolean('flag'), title: text('title'), more: json('more') },
          counters: { notes: 'did' },
        }),
        collection(NOTE, {
          columns: {
            flag: boolean('flag'),
            title: text('title'),
            more: json('more'),
            size: integer((record) => {
              if (record['size'] === 39) throw new RangeError('too many')
              return Number(record['size'])
            }),
          },
          counters: { notes: 'did' },
        }),
      ]
      for (const [at, note] of steps.entries()) {
        await using index = await openIndexer({
          store: database.open(),
          collections: { note },
          now: () => network.now(),
        })
        await index.run(network.source())
        const sql = 'SELECT * FROM note WHERE rkey = ?'
        const [row] = await index.sql<Record<string, unknown>>(sql, ['n7'])
        assert.equal(row?.['title'], 't7')
        assert.equal(at < 1 || Number(row?.['flag']) === 0, true)
        assert.equal(at < 1 || row?.['more'] === '{"n":7}', true)
        assert.equal(at < 2 || Number(row?.['size']) === 7, true)
        assert.equal((await index.deadLetters()).length, at < 2 ? 0 : 1)
        assert.equal(await index.select('note').count(), at < 2 ? 40 : 39)
        assert.deepEqual(await index.audit(), [])
      }
    },
  ],
  [
    'keeps what a declaration retains, by age and by number, in both layouts',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      const day = 86_400_000
      const start = network.now()
      for (let n = 0; n < 12; n++) {
        const createdAt = new Date(start - n * day).toISOString()
        alice.create(NOTE, { title: `${n}`, createdAt }, `n${90 - n}`)
        alice.create(
          STAR,
          { note: `at://${alice.did}/${NOTE}/n${90 - n}`, createdAt },
          `s${90 - n}`,
        )
      }
      const retain = { days: 9.5, perRepo: 8 }
      let now = network.now()
      await using index = await openIndexer({
        store: database.open(),
        collections: {
          note: collection(NOTE, { counters: { notes: 'did' }, retain }),
          star: collection(STAR, { layout: 'edge', columns: { note: uri('note') }, retain }),
        },
        now: () => now,
      })
      await index.run(network.source())
      const kept = async (): Promise<string> =>
        [await index.select('note').count(), await index.select('star').count()].join()
      assert.equal(await kept(), '8,8')
      now += 4 * day
      await index.settle()
      assert.equal(await kept(), '6,6')
      assert.equal((await index.counts([alice.did])).get(alice.did)?.['notes'], 6)
      assert.deepEqual(await index.audit(), [])
    },
  ],
  [
    'keeps the newest label of each statement, and its text',
    async (database) => {
      const network = play()
      const [{ did: author } = network.account()] = network.accounts
      const uri = `at://${author}/${NOTE}/root`
      const src = 'did:plc:labeler'
      const label = (
        val: string,
        cts: string,
        more: Pick<Partial<IndexLabel>, 'neg' | 'cid' | 'exp'> = {},
      ): IndexLabel => {
        const { neg = false, cid, exp } = more
        const about = cid === undefined ? {} : { cid }
        const until = exp === undefined ? {} : { exp }
        return { ver: 1, src, uri, val, neg, cts, sig: new Uint8Array(64), ...about, ...until }
      }
      await using index = await openOn(database, network)
      await index.run(network.source())
      const [early, late] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'] as const
      const batches = [
        [label('a', late), label('b', early), label('b', late, { neg: true })],
        [label('a', early, { neg: true }), label('b', early), label('c', early, { cid: 'x' })],
        [
          label('d', early, { exp: '2025-06-01T00:00:00Z' }),
          label("%_'", early),
          label('!takedown', early),
        ],
      ]
      for (const [at, labels] of batches.entries())
        await index.apply([{ type: 'labels', seq: at + 1, labels }], {
          source: 'labels:did:plc:labeler',
        })
      const accepted = await index.acceptLabelers('did:plc:labeler;redact')
      assert.equal(accepted.header, 'did:plc:labeler;redact')
      const found = (await index.labels([{ uri, cid: 'y' }, author], accepted)).get(uri)
      assert.deepEqual(
        found?.labels.map(({ val }) => val),
        ['!takedown', "%_'", 'a'],
      )
      assert.equal(found?.redacted, true)
      const all = await index.select('note').count()
      assert.equal(await index.select('note').withoutRedacted(accepted).count(), all - 1)
      const stars = index.select('star').withoutRedacted(accepted)
      assert.equal((await stars.page()).rows.length, await index.select('star').count())
    },
  ],
  [
    'lets collections exchange names of tables, take those of others and change their minds',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      for (let n = 0; n < 30; n++) {
        alice.create(NOTE, { title: `note ${n}` })
        if (n < 20) alice.create(STAR, { title: `star ${n}` })
        if (n < 10) alice.create(SEAL, { title: `seal ${n}` })
      }
      const declare = (nsid: string, table: string): AnyCollection =>
        collection(nsid, {
          columns: { title: text('title', { index: true }) },
          search: ['title'],
          indexes: [['did', '-sortAt']],
          derive: {
            tables: { [table]: 'title TEXT PRIMARY KEY' },
            indexes: { [table]: ['title DESC'] },
            added: (row, sql, own) => {
              sql(`INSERT INTO ${own(table)} VALUES (?)`, [row.title ?? ''])
            },
            removed: (row, sql, own) => {
              sql(`DELETE FROM ${own(table)} WHERE title = ?`, [row.title ?? ''])
            },
          },
        })
      const steps: Record<string, AnyCollection>[] = [
        { a: declare(NOTE, 'x'), b: declare(STAR, 'y'), c: declare(SEAL, 'z') },
        { b: declare(NOTE, 'y'), a: declare(STAR, 'x'), c: declare(SEAL, 'z') },
        { b: declare(SEAL, 'y'), c: declare(NOTE, 'z'), a: declare(STAR, 'x') },
        // One that is no longer declared leaves its name, also to one that is new.
        { a: declare(NOTE, 'x') },
        { a: declare(FOLLOW, 'x'), c: declare(SEAL, 'z') },
        // Own tables and tables of collections take each other's place.
        { x: declare(NOTE, 'a'), y: declare(STAR, 'b') },
        { a: declare(NOTE, 'x'), b: declare(STAR, 'y'), c: declare(SEAL, 'z') },
      ]
      const sizes: Readonly<Record<string, number>> = { [NOTE]: 30, [STAR]: 20, [SEAL]: 10 }
      for (const collections of steps) {
        // Killed in the middle of another change of mind.
        for (const transactions of [2, 3]) {
          const inner = database.open()
          let left = transactions
          const dying: IndexStore = {
            dialect: inner.dialect,
            prepare: (schema, options) => inner.prepare(schema, options),
            query: (sql, parameters) => inner.query(sql, parameters),
            transact: (work) =>
              left-- > 0 ? inner.transact(work) : Promise.reject(new RangeError('on purpose')),
            [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
          }
          const reversed = Object.fromEntries(
            Object.keys(collections).map((name, at) => [
              name,
              Object.values(collections).toReversed()[at],
            ]),
          ) as Record<string, AnyCollection>
          const opening = openIndexer({
            store: dying,
            collections: left === 2 ? reversed : collections,
            now: () => network.now(),
          })
          await opening.then(
            (index) => index[Symbol.asyncDispose](),
            async (error: unknown) => {
              assert.equal(error instanceof RangeError, true, String(error))
              await inner[Symbol.asyncDispose]()
            },
          )
        }
        const open = (store: IndexStore): ReturnType<typeof openIndexer> =>
          openIndexer({
            store,
            collections,
            now: () => network.now(),
            fetchRepo: network.fetchRepo,
          })
        await using index = await open(database.open())
        await index.apply(network.events)
        await index.backfill({ repos: [alice.did] })
        await index.reconcile({ repos: 'all' })
        for (const [name, { nsid, derive }] of Object.entries(collections)) {
          const size = sizes[nsid] ?? 0
          const own = Object.keys(derive?.tables ?? {})[0] ?? ''
          assert.equal(await index.select(name).count(), size)
          assert.equal((await index.sql(`SELECT title FROM ${own}`)).length, size)
          const found = await index.select(name).search('7').page()
          assert.equal(found.rows.length, Math.min(1, size))
        }
        assert.deepEqual(await index.audit(), [])
      }
      // Each collection has its indexes still: the same that a new index would have.
      const inspect = async (store: IndexStore): Promise<unknown> => {
        await using index = await openIndexer({
          store,
          collections: steps.at(-1) ?? {},
          now: () => network.now(),
        })
        const sql =
          store.dialect === 'sqlite'
            ? "SELECT tbl_name AS t, count(*) AS n FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('a', 'b', 'c', 'x', 'y', 'z') GROUP BY tbl_name ORDER BY tbl_name"
            : "SELECT tablename AS t, count(*) AS n FROM pg_indexes WHERE schemaname = current_schema() AND tablename IN ('a', 'b', 'c', 'x', 'y', 'z') GROUP BY tablename ORDER BY tablename"
        const rows = await index.sql<{ readonly t: string; readonly n: number }>(sql)
        return rows.map(({ t, n }) => [t, Number(n)])
      }
      const store = database.open()
      // Postgres counts the index of an integer primary key too.
      const main = store.dialect === 'sqlite' ? 2 : 3
      assert.deepEqual(await inspect(store), [
        ['a', main],
        ['b', main],
        ['c', main],
        ['x', 2],
        ['y', 2],
        ['z', 2],
      ])
    },
  ],
  [
    'keeps refused records up to a bound, of each account and of all, and fetches the rest when they are tried again',
    async (database) => {
      const network = createFakeNetwork()
      const [mallory, alice, bob, carol] = [1, 2, 3, 4].map(() => network.account())
      if (!mallory || !alice || !bob || !carol) throw new TypeError('no accounts')
      const flood = (title: string, count: number): FakeWrite[] =>
        Array.from({ length: count }, () => ({ collection: NOTE, record: { title } }))
      for (let n = 0; n < 6; n++) mallory.commit(...flood('bad', 200))
      alice.commit(...flood('bad', 3))
      for (let n = 0; n < 20; n++) bob.commit(...flood('b'.repeat(900_000), 1))
      carol.commit(...flood('bad', 4))
      let refusing = true
      const issues: IndexIssue[] = []
      const note = collection(NOTE, {
        columns: { title: text('title') },
        validate: () => (refusing ? 'not now' : undefined),
      })
      const open = (total: number): Promise<Indexer<{ note: typeof note }>> =>
        openIndexer({
          store: database.open(),
          collections: { note },
          now: () => network.now(),
          fetchRepo: network.fetchRepo,
          deadLetterLimits: { total },
          onIssue: (issue) => issues.push(issue),
        })
      const kept = 1_000 + 3 + 18 + 1
      {
        await using index = await open(kept)
        for (const event of network.events) await index.apply([event])
        const status = await index.status()
        assert.equal(status.deadLetters, kept)
        assert.equal(status.deadLettersDropped, 200 + 2 + 3)
      }
      const told = issues.filter((issue) => issue.kind === 'dead-letter')
      assert.equal(told.length, 1_227)
      assert.equal(told.filter((issue) => !issue.kept).length, 205)
      await using index = await open(kept)
      // What is kept stays kept when it is refused again, and what was dropped is counted again.
      assert.deepEqual(await index.retryDeadLetters(), { indexed: 0, failed: kept, queued: 3 })
      assert.equal((await index.status()).deadLetters, kept)
      await index.backfill({ repos: [] })
      assert.equal((await index.status()).deadLettersDropped, 205)
      refusing = false
      assert.deepEqual(await index.retryDeadLetters(), { indexed: kept, failed: 0, queued: 3 })
      await index.backfill({ repos: [] })
      assert.equal(await index.select('note').count(), 1_227)
      const { deadLetters, deadLettersDropped } = await index.status()
      assert.deepEqual([deadLetters, deadLettersDropped], [0, 0])
    },
  ],
  [
    'orders record keys by their bytes, up to 512 characters',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      const target = `at://${alice.did}/${NOTE}/t`
      const rkeys = ['Z', 'a', '-', '_', '~', '0', 'A', ':', `a${'b'.repeat(511)}`, 'a.b', 'aB']
      for (const rkey of rkeys) alice.create(NOTE, { title: rkey, parent: target }, rkey)
      await using index = await openOn(database, network)
      await index.apply(network.events)
      const seen: string[] = []
      for (let cursor: string | undefined; ;) {
        const page = await index.backlinks({
          target,
          from: 'note',
          path: 'parent',
          limit: 3,
          cursor,
        })
        seen.push(...page.rows.map(({ rkey }) => rkey))
        cursor = page.cursor
        if (cursor === undefined) break
      }
      assert.deepEqual(seen, rkeys.toSorted())
      const sorted = await index.select('note').orderBy('title').page()
      assert.deepEqual(
        sorted.rows.map(({ title }) => title),
        rkeys.toSorted(),
      )
      assert.equal(
        (await index.get('note', `at://${alice.did}/${NOTE}/${rkeys[8]}`))?.cid?.[0],
        'b',
      )
    },
  ],
  [
    'keeps texts no database likes: U+0000, half characters, long words, quotes, much of it',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      const titles = ['a\u0000b', `'"\\ {}[],NULL`, '%_', '\u{10FFFF}é', '-- \n\t', '?', '']
      titles.forEach((title, n) => alice.create(NOTE, { title }, `t${n}`))
      alice.create(NOTE, { title: 'x', ['\u0000key']: `at://${alice.did}/${NOTE}/t0` }, 'path')
      alice.create(NOTE, { title: 'y'.repeat(1_001) }, 'long')
      alice.create(NOTE, { title: 'ok', more: 'z'.repeat(900_000) }, 'big')
      const garbage = new Uint8Array([0xff, 0x00, 0x01])
      alice.create(NOTE, { title: 'before' }, 'bytes')
      await using index = await openIndexer({
        store: database.open(),
        collections: declare(),
        now: () => Date.UTC(2040, 0),
      })
      await index.apply([
        ...network.events,
        {
          type: 'commit',
          seq: 99,
          did: alice.did,
          rev: '3mzzzzzzzzzzz',
          ...(alice.rev === undefined ? {} : { since: alice.rev }),
          ops: ['bytes', 'nul\u0000key', 'k'.repeat(5_000)].map((rkey) => ({
            action: 'update' as const,
            collection: NOTE,
            rkey,
            cid: new Uint8Array(36),
            record: garbage,
          })),
        },
      ])
      for (const [n, title] of titles.entries())
        assert.equal(
          (await index.get('note', `at://${alice.did}/${NOTE}/t${n}`))?.title,
          title.replaceAll('\u0000', '\uFFFD'),
        )
      assert.equal((await index.select('note').where({ title: titles[1] }).page()).rows.length, 1)
      const letters = await index.deadLetters()
      assert.equal(letters.length, 4)
      assert.deepEqual(
        letters.filter(({ bytes }) => bytes.length === 3).map(({ bytes }) => [...bytes]),
        [[...garbage], [...garbage], [...garbage]],
      )
      assert.deepEqual(await index.retryDeadLetters(), { indexed: 0, failed: 4, queued: 0 })
      assert.deepEqual(await index.audit(), [])
    },
  ],
  [
    'pages every order without gap or double, and time lines too',
    async (database) => {
      const network = play()
      await using index = await openOn(database, network)
      await index.run(network.source())
      await index.settle()
      const total = await index.select('note').count()
      for (const [column, direction] of [
        ['sortAt', 'desc'],
        ['sortAt', 'asc'],
        ['title', 'desc'],
        ['indexedAt', 'asc'],
      ] as const) {
        const seen = new Set<string>()
        let cursor: string | undefined
        do {
          const page = await index
            .select('note')
            .orderBy(column, direction)
            .page({ limit: 4, cursor })
          for (const row of page.rows) {
            assert.equal(seen.has(row.uri), false)
            seen.add(row.uri)
          }
          cursor = page.cursor
        } while (cursor !== undefined)
        assert.equal(seen.size, total)
      }
      const authors = network.accounts.map((account) => account.did)
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await index.timeline({ from: ['note'], authors, limit: 5, cursor })
        seen.push(...page.rows.map(({ row }) => row.uri))
        cursor = page.cursor
      } while (cursor !== undefined)
      assert.equal(new Set(seen).size, total)
      assert.equal(seen.length, total)
      const [alice = '', bob = ''] = authors
      const inbox: string[] = []
      do {
        const page = await index.notifications(alice, { limit: 2, cursor, reasons: ['answer'] })
        inbox.push(...page.rows.map((row) => row.uri))
        cursor = page.cursor
      } while (cursor !== undefined)
      assert.equal(inbox.length, await index.countNotifications(alice))
      assert.equal(new Set(inbox).size, inbox.length)
      const stars = await index
        .select('star')
        .where({ did: bob, uri: [`at://${bob}/${STAR}/s13`, `at://${bob}/${STAR}/s16`] })
        .page()
      assert.deepEqual(stars.rows.map(({ rkey }) => rkey).toSorted(), ['s13', 's16'])
      const starred = await index
        .select('star')
        .where({ note: `at://${alice}/${NOTE}/n4`, did: bob })
        .page()
      assert.equal(starred.rows.length, 1)
      assert.equal(
        (await index.select('note').where('size', '>=', 2).where('title', '!=', 'x').page()).rows
          .length > 0,
        true,
      )
    },
  ],
  [
    'finds words, phrases and beginnings, without case and accents',
    async (database) => {
      const network = createFakeNetwork()
      const alice = network.account()
      const titles = [
        'Größe der Wörter',
        "don't panic",
        'panic order',
        'order of words',
        '東京 2026',
      ]
      titles.forEach((title, n) => alice.create(NOTE, { title }, `${n}`))
      await using index = await openOn(database, network)
      await index.apply(network.events)
      const find = async (words: string): Promise<string> => {
        const { rows } = await index.select('note').search(words).page()
        return rows
          .map(({ rkey }) => rkey)
          .toSorted()
          .join('')
      }
      const expected = {
        GROSSE: '',
        groSSe: '',
        größe: '0',
        worter: '0',
        panic: '12',
        'pan*': '12',
        '"panic order"': '2',
        '"order panic"': '',
        'panic order': '2',
        "don't": '1',
        東京: '4',
        '2026': '4',
        '"; DROP TABLE note': '',
        "' | 'panic": '12',
        '***': '',
      }
      for (const [words, rkeys] of Object.entries(expected))
        assert.equal(await find(words), rkeys, words)
    },
  ],
]
