import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startPostgres } from '../../packages/appview-indexer/test/postgres-server.ts'
import { RecordStream, snapshotsOf } from '../index-load.ts'
import { HandWrittenPostgres } from '../index-rivals.ts'
import type { Row } from '../row.ts'

const SHARDS = 4
const REPOS = 250
const RECORDS = 100

/** Longest wait for what the processes say: one that hangs must not keep the bench from its end. */
const TIMEOUT_MS = 300_000

/** Seconds the slowest of the processes took, all started at once. */
async function runShards(connectionString: string): Promise<number> {
  const script = join(import.meta.dirname, '..', 'index-shard.ts')
  const ended = new AbortController()
  const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(TIMEOUT_MS)])
  const workers = Array.from({ length: SHARDS }, (_, index) => {
    const flags = [index, SHARDS, REPOS, RECORDS].map(String)
    return spawn(
      process.execPath,
      ['--conditions=@skywright/source', script, connectionString, ...flags],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    )
  })
  for (const [index, worker] of workers.entries())
    worker.once('exit', (code) => {
      if (code !== 0) ended.abort(new Error(`shard ${index} ended; code=${code}`))
    })
  try {
    const lines = workers.map((worker) => createInterface({ input: worker.stdout }))
    const answers = (): Promise<string[]> =>
      Promise.all(lines.map(async (line) => String((await once(line, 'line', { signal }))[0])))
    await answers()
    const times = answers()
    for (const worker of workers) worker.stdin.write('go\n')
    return Math.max(...(await times).map(Number)) / 1000
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    for (const worker of workers) worker.kill('SIGKILL')
  }
}

export const row: Row = {
  work: `index whole repos into Postgres, ${SHARDS} processes that share the index: rows, backlinks, counters, search and revs; the rival rows only, one statement a record on ${SHARDS} connections`,
  unit: '/s',
  rivalName: 'hand-written pg upserts',
  async measure() {
    await using server = await startPostgres()
    const place = await server.create()
    const seconds = await runShards(place.connectionString)
    await place.drop()

    const other = await server.create()
    const stream = new RecordStream()
    const share = 50
    const repos = snapshotsOf(stream, stream.accounts.slice(0, SHARDS * share), RECORDS)
    const parts = Array.from({ length: SHARDS }, (_, part) =>
      [...repos.values()].slice(part * share, (part + 1) * share),
    )
    const indexes: HandWrittenPostgres[] = []
    for (let part = 0; part < SHARDS; part++)
      indexes.push(await HandWrittenPostgres.open(other.connectionString))
    const started = performance.now()
    await Promise.all(
      parts.map(async (part, at) => {
        for (const { did, records } of part)
          for (const record of records) await indexes[at]?.put(did, record)
      }),
    )
    const rivalSeconds = (performance.now() - started) / 1000
    for (const index of indexes) await index[Symbol.asyncDispose]()
    await other.drop()
    return {
      ours: (SHARDS * REPOS * RECORDS) / seconds,
      rival: (SHARDS * share * RECORDS) / rivalSeconds,
      note: `records; ${(SHARDS * REPOS).toLocaleString('en-US')} repos of ${RECORDS} in memory: fetching and verifying not included; all processes and the server share the cores`,
    }
  },
}
