import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openIndexer } from '../src/index.ts'
import type { Indexer } from '../src/index.ts'
import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { indexStoreCases } from '../src/testing/index.ts'
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
