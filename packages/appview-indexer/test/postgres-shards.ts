import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

import { openIndexer } from '../src/index.ts'
import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { killHistory } from './kill-history.ts'
import type { TestServer } from './postgres-server.ts'
import { socialCollections } from './social.ts'

const WORKER = fileURLToPath(new URL('postgres-worker.ts', import.meta.url))

/** Runs one shard; kills it `afterMs` after it opened the index, or lets it finish. Tells whether it finished. */
function runShard(args: readonly string[], afterMs: number | undefined): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const worker = spawn(process.execPath, ['--conditions=@skywright/source', WORKER, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let output = ''
    let errors = ''
    worker.stderr.on('data', (data: Buffer) => (errors += data.toString()))
    worker.stdout.on('data', (data: Buffer) => {
      if (output === '' && afterMs !== undefined) setTimeout(() => worker.kill('SIGKILL'), afterMs)
      output += data.toString()
    })
    worker.on('exit', (code) => {
      if (code !== 0 && code !== null) reject(new Error(errors))
      else resolve(output.includes('done'))
    })
  })
}

/**
 * Several processes share one database; every other one is killed, at different moments, `rounds` times. What comes of
 * it equals one undisturbed process on SQLite. Answers how often one was killed before it had finished.
 */
export async function killShards(
  server: TestServer,
  mode: 'live' | 'backfill',
  shards: number,
  rounds: number,
): Promise<number> {
  const network = killHistory()
  await using calm = await openIndexer({
    store: openSqliteIndexStore(':memory:'),
    collections: socialCollections(),
    now: () => network.now(),
  })
  await calm.apply(network.events)
  const expected = await calm.stateHash()

  const { connectionString, drop } = await server.create()
  let kills = 0
  try {
    for (let round = 0; round <= rounds; round++) {
      const finished = await Promise.all(
        Array.from({ length: shards }, (_, index) =>
          runShard(
            [connectionString, String(index), String(shards), mode],
            // The others wait for nobody: they go on to their end.
            round < rounds && index % 2 === 0 ? ((round * 7 + index * 3) % 23) * 12 : undefined,
          ),
        ),
      )
      kills += finished.filter((done) => !done).length
    }
    // Shards may be merged: one process goes on where the many stopped.
    await using survivor = await openIndexer({
      store: openPostgresIndexStore({ connectionString }),
      collections: socialCollections(),
      now: () => network.now(),
      fetchRepo: network.fetchRepo,
    })
    expect(await survivor.cursor('relay')).toBe(network.events.length)
    expect(await survivor.audit()).toEqual([])
    expect(await survivor.stateHash()).toBe(expected)
    expect((await survivor.status()).repos).toMatchObject({ queued: 0, fetching: 0, failed: 0 })
  } finally {
    await drop()
  }
  return kills
}
