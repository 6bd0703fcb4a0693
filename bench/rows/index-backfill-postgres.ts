import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startPostgres } from '../../packages/appview-indexer/test/postgres-server.ts'
import { RecordStream, snapshotsOf } from '../index-load.ts'
import { HandWrittenPostgres } from '../index-rivals.ts'
import type { Row } from '../row.ts'

const SHARDS = 4
const REPOS = 250
const RECORDS = 100

/** Seconds the slowest of the processes took, all started at once. */
async function runShards(connectionString: string): Promise<number> {
  const script = join(import.meta.dirname, '..', 'index-shard.ts')
  const workers = Array.from({ length: SHARDS }, (_, index) =>
    spawn(
      process.execPath,
      [
        '--conditions=@skywright/source',
        script,
        connectionString,
        ...[index, SHARDS, REPOS, RECORDS].map(String),
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    ),
  )
  await Promise.all(workers.map((worker) => once(worker.stdout, 'data')))
  const times = await Promise.all(
    workers.map(async (worker) => {
      const answered = once(worker.stdout, 'data')
      worker.stdin.write('go\n')
      const [line] = (await answered) as [Buffer]
      return Number(line.toString())
    }),
  )
  return Math.max(...times) / 1000
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
