import { raceLive, recordOf } from '../index-load.ts'
import { HandWrittenLinkedIndex } from '../index-rivals.ts'
import type { Row } from '../row.ts'

export const row: Row = {
  work: 'index a live stream; the rival keeps backlinks, counters, search, revs and cursor as well, one transaction an event',
  unit: '/s',
  rivalName: 'hand-written better-sqlite3, all of it',
  measure: () =>
    raceLive((path, events) => {
      using index = new HandWrittenLinkedIndex(path)
      for (const event of events) index.write(event.did, recordOf(event), event.rev, event.seq)
    }),
}
