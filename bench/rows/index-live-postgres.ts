import { openIndexer, type IndexStore } from '@skywright/appview-indexer'
import { openPostgresIndexStore } from '@skywright/appview-indexer/postgres'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { startPostgres } from '../../packages/appview-indexer/test/postgres-server.ts'
import { collections, recordOf, RecordStream, sourceOf, timeOnFile } from '../index-load.ts'
import { HandWrittenPostgres } from '../index-rivals.ts'
import { median, type Row } from '../row.ts'

const COMMITS = 20_000
const ROUNDS = 3

export const row: Row = {
  work: 'index a live stream into Postgres, one record a commit: rows, backlinks, counters, search, revs and cursor in transactions; the rival rows and cursor only, one statement an event',
  unit: '/s',
  rivalName: 'hand-written pg upserts',
  async measure() {
    const events = new RecordStream().commits(COMMITS)
    const ours: number[] = []
    const sqlite: number[] = []
    const rival: number[] = []
    await using server = await startPostgres()
    const timeRun = async (store: IndexStore): Promise<number> => {
      await using index = await openIndexer({ store, collections })
      const started = performance.now()
      await index.run(sourceOf(events))
      return performance.now() - started
    }
    for (let round = 0; round < ROUNDS; round++) {
      const { connectionString, drop } = await server.create()
      ours.push(await timeRun(openPostgresIndexStore({ connectionString })))
      await drop()
      await timeOnFile(async (path) => sqlite.push(await timeRun(openSqliteIndexStore(path))))
      const place = await server.create()
      {
        await using index = await HandWrittenPostgres.open(place.connectionString)
        const begun = performance.now()
        // Its way is slow enough for a quarter to tell.
        for (const event of events.slice(0, COMMITS / 4))
          await index.write(event.did, recordOf(event), event.seq)
        rival.push((performance.now() - begun) * 4)
      }
      await place.drop()
    }
    const rate = (times: readonly number[]): number => (COMMITS / median(times)) * 1000
    return {
      ours: rate(ours),
      rival: rate(rival),
      note: `${COMMITS.toLocaleString('en-US')} commits; the indexer on SQLite ${Math.round(rate(sqlite)).toLocaleString('en-US')}/s in the same run, ${(rate(ours) / rate(sqlite)).toFixed(2)} of it here; tables made before; synchronous_commit as it comes (on), server and client share the cores`,
    }
  },
}
