import assert from 'node:assert/strict'

import { collection } from '../../collection.ts'
import type { AnyCollection } from '../../collection.ts'
import { boolean, integer, json, text, uri } from '../../column.ts'
import { openIndexer } from '../../open-indexer.ts'
import type { IndexStore } from '../../stores/port.ts'
import { createFakeNetwork } from '../fake-network.ts'
import { FOLLOW, NOTE, openOn, play, SEAL, STAR, STATE_HASH } from './history.ts'
import type { StoreCase } from './store-case.ts'

/** What happens when declarations change, and what they retain. */
export const declarationCases: readonly StoreCase[] = [
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
]
