import { raceLive, recordOf } from '../index-load.ts'
import { HandWrittenIndex } from '../index-rivals.ts'
import type { Row } from '../row.ts'

export const row: Row = {
  work: 'index a live stream, one record a commit: rows, backlinks, counters, search, revs and cursor in transactions; the rival rows and cursor only',
  unit: '/s',
  rivalName: 'hand-written better-sqlite3 upserts',
  measure: () =>
    raceLive((path, events) => {
      using index = new HandWrittenIndex(path)
      for (const event of events) index.write(event.did, recordOf(event), event.seq)
    }),
}
