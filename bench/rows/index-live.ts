import { openIndexer } from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { collections, HandWrittenIndex, RecordStream, timeOnFile } from '../index-load.ts'
import { median, type Row } from '../row.ts'

const COMMITS = 30_000
const ROUNDS = 3

export const row: Row = {
  work: 'index a live stream, one record a commit: rows, backlinks, counters, search, revs and cursor in transactions; the rival rows and cursor only',
  unit: '/s',
  rivalName: 'hand-written better-sqlite3 upserts',
  async measure() {
    const events = new RecordStream().commits(COMMITS)
    const ours: number[] = []
    const rival: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(
        await timeOnFile(async (path) => {
          await using index = await openIndexer({ store: openSqliteIndexStore(path), collections })
          await index.run({
            name: 'bench',
            async *events() {
              yield* events
            },
          })
        }),
      )
      rival.push(
        await timeOnFile((path) => {
          using index = new HandWrittenIndex(path)
          for (const event of events) {
            if (event.type !== 'commit') continue
            for (const { collection, rkey, cid, record } of event.ops) {
              if (cid === undefined || record === undefined) throw new Error('creates only')
              index.write(event.did, { collection, rkey, cid, record }, event.seq)
            }
          }
        }),
      )
    }
    return {
      ours: (COMMITS / median(ours)) * 1000,
      rival: (COMMITS / median(rival)) * 1000,
      note: `${COMMITS.toLocaleString('en-US')} commits, decoding included, verification not`,
    }
  },
}
