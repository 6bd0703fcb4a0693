import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { openIndexer } from '../src/index.ts'
import type { Indexer, IndexIssue, IndexStore } from '../src/index.ts'
import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { killHistory } from './kill-history.ts'
import { startPostgres } from './postgres-server.ts'
import type { TestServer } from './postgres-server.ts'
import { socialCollections } from './social.ts'
import type { SocialCollections } from './social.ts'

const BATCH = 100
/** Twelve hundred events with gates, on a busy machine. */
const TIMEOUT_MS = 120_000

/** What a run through trouble is watched by. */
interface Watched {
  readonly index: Indexer<SocialCollections>
  readonly failures: (IndexIssue & { readonly kind: 'store-failed' })[]
  /** Milliseconds the indexer would have waited: nobody really waits. */
  waitedMs: number
}

/** Runs a history; `trouble` is called after some batches, `relief` once a minute has been waited. */
async function runThrough(
  network: FakeNetwork,
  store: IndexStore,
  trouble: () => void | Promise<void>,
  relief: (watched: Watched) => void | Promise<void>,
): Promise<Watched> {
  const failures: Watched['failures'] = []
  let batches = 0
  let relieved = false
  const watched: Watched = {
    failures,
    waitedMs: 0,
    index: await openIndexer({
      store,
      collections: socialCollections(),
      now: () => network.now(),
      maxBatchEvents: BATCH,
      onBatch: () => {
        batches++
      },
      onIssue: (issue) => {
        if (issue.kind === 'store-failed') failures.push(issue)
      },
      delay: async (ms, signal) => {
        signal.throwIfAborted()
        watched.waitedMs += ms
        if (watched.waitedMs < 60_000 || relieved) return
        relieved = true
        await relief(watched)
      },
    }),
  }
  const calm = network.source('relay')
  await watched.index.run({
    name: calm.name,
    async *events(options) {
      let told = false
      for await (const event of calm.events(options)) {
        if (!told && batches >= 3) {
          told = true
          await trouble()
        }
        yield event
      }
    },
  })
  return watched
}

async function expectedOf(network: FakeNetwork): Promise<string> {
  await using calm = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
    fetchRepo: network.fetchRepo,
  })
  await calm.run(network.source('relay'))
  return await calm.stateHash()
}

async function checkWhole({ index, failures, waitedMs }: Watched, expected: string): Promise<void> {
  expect(failures.length).toBeGreaterThan(5)
  expect(failures.map(({ attempt }) => attempt)).toEqual(failures.map((_, at) => at + 1))
  for (const { error } of failures)
    expect(error).toMatchObject({ code: 'StoreFailure', retryable: true })
  expect(waitedMs).toBeGreaterThanOrEqual(60_000)
  expect(await index.audit()).toEqual([])
  expect(await index.stateHash()).toBe(expected)
  expect((await index.status()).failing).toBeUndefined()
}

describe('SQLite', { timeout: TIMEOUT_MS }, () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'index-full-'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  it('goes on by itself when the disk was full for a minute, and says so meanwhile', async () => {
    const network = killHistory()
    const expected = await expectedOf(network)
    // The store's writing connection, for its page limit: to SQLite that is what a full disk is.
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec')
    const [path, limit] = [join(folder, 'full.db'), 1_000_000]
    const pages = (count: number): void => {
      for (const connection of new Set(exec.mock.contexts))
        if (connection instanceof DatabaseSync && connection.isOpen)
          connection.prepare(`PRAGMA max_page_count = ${count}`).get()
    }
    const watched = await runThrough(
      network,
      openSqliteIndexStore(path),
      () => {
        // Below what is used the limit is what is used.
        pages(1)
      },
      async ({ index }) => {
        const { failing, cursors } = await index.status()
        expect(failing).toMatchObject({
          reason: 'index store failed; reason=database or disk is full',
        })
        expect(cursors[0]?.cursor).toBeLessThan(network.events.length)
        // What is there can be read.
        expect(await index.select('post').count()).toBeGreaterThan(10)
        pages(limit)
      },
    )
    exec.mockRestore()
    await checkWhole(watched, expected)
    expect(watched.failures[0]?.error).toMatchObject({
      message: 'index store failed; reason=database or disk is full',
    })
    await watched.index[Symbol.asyncDispose]()
  })

  it('goes on by itself when another process held the file for a minute', async () => {
    const network = killHistory()
    const expected = await expectedOf(network)
    const path = join(folder, 'locked.db')
    let blocker: DatabaseSync | undefined
    const watched = await runThrough(
      network,
      openSqliteIndexStore(path, { busyTimeoutMs: 1 }),
      () => {
        blocker = new DatabaseSync(path)
        blocker.exec('BEGIN IMMEDIATE')
      },
      async ({ index }) => {
        expect((await index.status()).failing).toMatchObject({
          reason: 'index store failed; reason=database is locked',
        })
        blocker?.close()
      },
    )
    await checkWhole(watched, expected)
    await watched.index[Symbol.asyncDispose]()
  })
})

describe('Postgres', { timeout: TIMEOUT_MS }, () => {
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

  it('goes on by itself when the disk was full for a minute, and says so meanwhile', async () => {
    const network = killHistory()
    const expected = await expectedOf(network)
    const { connectionString, drop } = await running().create()
    const run = async (sql: string): Promise<void> => {
      const client = new Client({ connectionString })
      await client.connect()
      await client.query(sql)
      await client.end()
    }
    const watched = await runThrough(
      network,
      openPostgresIndexStore({ connectionString }),
      () =>
        run(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
           CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON ix_source FOR EACH STATEMENT EXECUTE FUNCTION full_disk()`),
      async ({ index }) => {
        const { failing } = await index.status()
        expect(failing?.reason).toContain('No space left')
        await run('DROP TRIGGER full_disk ON ix_source')
      },
    )
    await checkWhole(watched, expected)
    await watched.index[Symbol.asyncDispose]()
    await drop()
  })

  it('goes on by itself when the server was gone for a minute, and says so meanwhile', async ({
    skip,
  }) => {
    const { power } = running()
    // The server of DATABASE_URL is not the test's to stop.
    if (power === undefined) return skip()
    const network = killHistory()
    const expected = await expectedOf(network)
    const { connectionString, drop } = await running().create()
    let off: Promise<void> | undefined
    const watched = await runThrough(
      network,
      openPostgresIndexStore({ connectionString }),
      () => (off = power.off()),
      async ({ index }) => {
        await off
        await expect(index.status()).rejects.toMatchObject({ code: 'StoreFailure' })
        await power.on()
      },
    )
    await checkWhole(watched, expected)
    await watched.index[Symbol.asyncDispose]()
    await drop()
  })
})
