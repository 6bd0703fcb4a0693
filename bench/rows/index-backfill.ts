import { openIndexer } from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { collections, RecordStream, snapshotsOf, timeOnFile } from '../index-load.ts'
import { HandWrittenIndex } from '../index-rivals.ts'
import { median, type Row } from '../row.ts'

const REPOS = 1000
const RECORDS = 100
const ROUNDS = 3

export const row: Row = {
  work: 'index whole repos: rows, backlinks, counters, search and revs; the rival rows only',
  unit: '/s',
  rivalName: 'hand-written better-sqlite3 upserts',
  async measure() {
    const stream = new RecordStream()
    const repos = snapshotsOf(stream, stream.accounts.slice(0, REPOS), RECORDS)
    const ours: number[] = []
    const rival: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(
        await timeOnFile(async (path) => {
          await using index = await openIndexer({
            store: openSqliteIndexStore(path),
            collections,
            fetchRepo: async (did) => {
              const snapshot = repos.get(did)
              if (snapshot === undefined) throw new Error(`no such repo; did=${did}`)
              return { kind: 'snapshot', snapshot }
            },
          })
          await index.backfill({ repos: repos.keys() })
        }),
      )
      rival.push(
        await timeOnFile((path) => {
          using index = new HandWrittenIndex(path)
          for (const { did, records } of repos.values())
            for (const record of records) index.write(did, record, 0)
        }),
      )
    }
    const total = REPOS * RECORDS
    return {
      ours: (total / median(ours)) * 1000,
      rival: (total / median(rival)) * 1000,
      note: `records; ${REPOS.toLocaleString('en-US')} repos of ${RECORDS} in memory: fetching and verifying not included`,
    }
  },
}
