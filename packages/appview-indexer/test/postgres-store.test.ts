import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { collection, openIndexer, text } from '../src/index.ts'
import type { Indexer } from '../src/index.ts'
import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { createFakeNetwork, indexStoreCases } from '../src/testing/index.ts'
import { killHistory } from './kill-history.ts'
import { killShards } from './postgres-shards.ts'
import { startPostgres } from './postgres-server.ts'
import type { TestServer } from './postgres-server.ts'
import { changedCollections, firstCollections, rebuildHistory } from './rebuild-history.ts'
import { socialCollections } from './social.ts'

describe('the Postgres store', () => {
  let server: TestServer | undefined
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  const running = (): TestServer => {
    if (server === undefined) throw new TypeError('no server')
    return server
  }

  for (const { name, run } of indexStoreCases(() => running().database())) it(name, run)

  it('is shared by three processes, two of which are killed and started again', async () => {
    expect(await killShards(running(), 'live', 3, 1)).toBeGreaterThan(0)
  }, 120_000)

  it('starts a shard that was killed before its first batch from the beginning, not from where its sisters are', async () => {
    const network = killHistory()
    const { connectionString, drop } = await running().create()
    const cursorOf = async (index: number, count: number, events: number): Promise<unknown> => {
      await using indexer = await openIndexer({
        store: openPostgresIndexStore({ connectionString }),
        collections: socialCollections(),
        shard: { index, count },
        now: () => network.now(),
      })
      const before = await indexer.cursor('relay')
      if (events > 0) await indexer.apply(network.events.slice(0, events), { source: 'relay' })
      return before
    }
    expect(await cursorOf(0, 2, 30)).toBeUndefined()
    expect(await cursorOf(1, 2, 0)).toBeUndefined()
    expect(await cursorOf(1, 2, 20)).toBeUndefined()
    // Another division goes on where the one furthest behind is.
    expect(await cursorOf(0, 1, 0)).toBe(20)
    expect(await cursorOf(2, 3, 0)).toBe(20)
    await drop()
  })

  it('keeps no more prepared statements than it may, whatever text a declaration makes of each row', async () => {
    const { connectionString, drop } = await running().create()
    const network = createFakeNetwork()
    const alice = network.account()
    for (let n = 0; n < 1_300; n++) alice.create('com.example.note', { title: `n${n}` })
    const note = collection('com.example.note', {
      columns: { title: text('title') },
      derive: {
        tables: { prepared: 'title TEXT PRIMARY KEY, n BIGINT NOT NULL' },
        added: (row, sql, own) => {
          const title = String(row.title)
          sql(
            `INSERT INTO ${own('prepared')} SELECT '${title}', count(*) FROM pg_prepared_statements`,
          )
        },
        removed: () => undefined,
      },
    })
    await using index = await openIndexer({
      store: openPostgresIndexStore({ connectionString }),
      collections: { note },
      now: () => network.now(),
    })
    await index.apply(network.events)
    const [most] = await index.sql<{ n: number; rows: number }>(
      'SELECT max(n) AS n, count(*) AS rows FROM prepared',
    )
    expect(most?.rows).toBe(1_300)
    expect(most?.n).toBeGreaterThan(800)
    expect(most?.n).toBeLessThanOrEqual(1_000)
    await index[Symbol.asyncDispose]()
    await drop()
  }, 60_000)

  it('lets no second process on a shard, and no other count of shards, while one runs', async () => {
    const { connectionString, drop } = await running().create()
    const open = (index: number, count: number): Promise<AsyncDisposable> =>
      openIndexer({
        store: openPostgresIndexStore({ connectionString, lockTimeoutMs: 50 }),
        collections: socialCollections(),
        shard: { index, count },
      })
    {
      await using _first = await open(0, 2)
      await expect(open(0, 2)).rejects.toMatchObject({ code: 'StoreFailure' })
      await expect(open(0, 3)).rejects.toMatchObject({ code: 'StoreFailure' })
      await using _second = await open(1, 2)
    }
    await using _other = await open(2, 3)
    await drop()
  })

  it('takes no other declaration while processes of the one before still write', async () => {
    const { connectionString, drop } = await running().create()
    const open = (
      collections: ReturnType<typeof changedCollections>,
      lockTimeoutMs: number,
    ): Promise<Indexer<typeof collections>> =>
      openIndexer({
        store: openPostgresIndexStore({ connectionString, lockTimeoutMs }),
        collections,
        now: () => network.now(),
      })
    const network = rebuildHistory()
    {
      await using before = await open(firstCollections(), 50)
      await before.apply(network.events.slice(0, 200))
      await expect(open(changedCollections(), 50)).rejects.toMatchObject({
        code: 'SchemaMismatch',
        message: expect.stringContaining('other processes still write') as string,
      })
      // The refusal changed nothing.
      await before.apply(network.events.slice(200, 400))
      expect(await before.audit()).toEqual([])
    }
    await using after = await open(changedCollections(), 10_000)
    await after.apply(network.events.slice(400))
    await after.settle()
    expect(await after.audit()).toEqual([])
    await using fresh = await openIndexer({
      store: openSqliteIndexStore(':memory:'),
      collections: changedCollections(),
      now: () => network.now(),
    })
    await fresh.apply(network.events)
    expect(await after.stateHash()).toBe(await fresh.stateHash())
    await after[Symbol.asyncDispose]()
    await drop()
  }, 60_000)
})
