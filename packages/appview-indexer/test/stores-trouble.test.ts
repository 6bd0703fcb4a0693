import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { killHistory } from './kill-history.ts'
import { startPostgres } from './postgres-server.ts'
import type { TestServer } from './postgres-server.ts'
import { checkWhole, expectedOf, runThrough, TROUBLE_TIMEOUT_MS } from './run-through.ts'

describe('SQLite', { timeout: TROUBLE_TIMEOUT_MS }, () => {
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

describe('Postgres', { timeout: TROUBLE_TIMEOUT_MS }, () => {
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
    const run = (sql: string): Promise<void> => query(connectionString, sql)
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

  it('goes on by itself when the file system of its tables was full for a minute', async ({
    skip,
  }) => {
    // A small file system of its own needs the rights to mount one.
    const disk = mountDisk()
    if (disk === undefined) return skip()
    try {
      const network = killHistory()
      const expected = await expectedOf(network)
      const { connectionString, drop } = await running().create()
      const url = new URL(connectionString)
      await query(connectionString, `CREATE TABLESPACE small LOCATION '${disk.folder}'`)
      url.searchParams.set(
        'options',
        `${url.searchParams.get('options') ?? ''} -c default_tablespace=small`,
      )
      const watched = await runThrough(
        network,
        openPostgresIndexStore({ connectionString: url.href.replaceAll('+', '%20') }),
        () => {
          disk.fill()
        },
        async ({ index }) => {
          expect((await index.status()).failing?.reason).toContain('No space left on device')
          disk.relieve()
        },
      )
      await checkWhole(watched, expected)
      await watched.index[Symbol.asyncDispose]()
      await drop()
      await query(connectionString, 'DROP TABLESPACE small')
    } finally {
      disk.unmount()
    }
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

async function query(connectionString: string, sql: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  await client.query(sql)
  await client.end()
}

const DISK_BYTES = 64 * 1024 * 1024

/** A file system in memory for a server's tables, which can be filled up; undefined where it may not be mounted. */
function mountDisk():
  | {
      readonly folder: string
      readonly fill: () => void
      readonly relieve: () => void
      readonly unmount: () => void
    }
  | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'index-disk-'))
  const remove = (): void => {
    rmSync(folder, { recursive: true })
  }
  try {
    const owner = execFileSync('id', ['-u', 'postgres'], { encoding: 'utf8' }).trim()
    const options = `size=${DISK_BYTES},uid=${owner},mode=700`
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    remove()
    return undefined
  }
  const filler = join(folder, 'filler')
  return {
    folder,
    fill: () => {
      const file = openSync(filler, 'w')
      try {
        const { bavail, bsize } = statfsSync(folder)
        writeSync(file, Buffer.alloc(bavail * bsize))
      } finally {
        closeSync(file)
      }
    },
    relieve: () => {
      rmSync(filler)
    },
    unmount: () => {
      execFileSync('umount', ['--lazy', folder])
      remove()
    },
  }
}
