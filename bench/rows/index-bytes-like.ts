import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openIndexer } from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { collections, type CommitEvent, LIKE, recordOf, RecordStream } from '../index-load.ts'
import { HandWrittenIndex } from '../index-rivals.ts'
import type { Row } from '../row.ts'

const RECORDS = 200_000
const BATCH = 1_000

/** Size of a database file that `work` filled and closed. */
async function sizeAfter(work: (path: string) => unknown): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'skywright-index-'))
  try {
    const path = join(folder, 'index.db')
    await work(path)
    return statSync(path).size
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Commits of the stream, all or without likes, in batches. */
function* batches(likes: boolean): Generator<CommitEvent[]> {
  const stream = new RecordStream()
  let batch = []
  for (let seq = 1; seq <= RECORDS; seq++) {
    const event = stream.commit(seq)
    if (!likes && recordOf(event).collection === LIKE) continue
    batch.push(event)
    if (batch.length === BATCH) {
      yield batch
      batch = []
    }
  }
  yield batch
}

export const row: Row = {
  work: 'bytes on disk a like, with every index: what the file is larger by when the likes of a stream are indexed too, so their backlinks, counters and interned subjects are counted',
  unit: 'bytes',
  rivalName: 'hand-written better-sqlite3, an index on subject',
  async measure() {
    let likes = 0
    for (const batch of batches(true))
      likes += batch.filter((event) => recordOf(event).collection === LIKE).length
    const ours = (withLikes: boolean): Promise<number> =>
      sizeAfter(async (path) => {
        await using index = await openIndexer({ store: openSqliteIndexStore(path), collections })
        for (const batch of batches(withLikes)) await index.apply(batch)
      })
    const rival = (withLikes: boolean): Promise<number> =>
      sizeAfter((path) => {
        using index = new HandWrittenIndex(path)
        for (const batch of batches(withLikes))
          index.database.transaction(() => {
            for (const event of batch) index.write(event.did, recordOf(event), event.seq)
          })()
      })
    return {
      ours: ((await ours(true)) - (await ours(false))) / likes,
      rival: ((await rival(true)) - (await rival(false))) / likes,
      note: `${likes.toLocaleString('en-US')} likes among ${RECORDS.toLocaleString('en-US')} records; the rival keeps no count`,
    }
  },
}
