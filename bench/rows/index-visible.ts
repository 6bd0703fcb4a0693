import { setTimeout as delay } from 'node:timers/promises'
import { openIndexer } from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import {
  collections,
  type CommitEvent,
  recordOf,
  RecordStream,
  sourceOf,
  timeOnFile,
} from '../index-load.ts'
import { HandWrittenIndex } from '../index-rivals.ts'
import { percentile, type Row } from '../row.ts'

const EVENTS = 10_000
const EVENTS_A_SECOND = 1_000

/** Hands events out when they are due, and when that was: a consumer that holds it up is measured, not spared. */
async function* paced(events: readonly CommitEvent[], due: number[]): AsyncGenerator<CommitEvent> {
  const started = performance.now()
  for (const [n, event] of events.entries()) {
    const at = started + (n * 1000) / EVENTS_A_SECOND
    while (performance.now() < at) await delay(1)
    due.push(at)
    yield event
  }
}

export const row: Row = {
  work: `95th percentile of commit to visible at ${EVENTS_A_SECOND.toLocaleString('en-US')} events a second: from the moment an event is due to the moment a reader sees it`,
  unit: 'ms',
  rivalName: 'hand-written better-sqlite3 upserts',
  async measure() {
    const events = new RecordStream().commits(EVENTS)
    const ours: number[] = []
    const rival: number[] = []
    await timeOnFile(async (path) => {
      const due: number[] = []
      await using index = await openIndexer({
        store: openSqliteIndexStore(path),
        collections,
        onBatch: ({ events: count }) => {
          for (let n = 0; n < count; n++) ours.push(performance.now() - (due[ours.length] ?? 0))
        },
      })
      await index.run(sourceOf(paced(events, due)))
    })
    await timeOnFile(async (path) => {
      const due: number[] = []
      using index = new HandWrittenIndex(path)
      for await (const event of paced(events, due)) {
        index.write(event.did, recordOf(event), event.seq)
        rival.push(performance.now() - (due.at(-1) ?? 0))
      }
    })
    return {
      ours: percentile(ours, 0.95),
      rival: percentile(rival, 0.95),
      note: `${EVENTS.toLocaleString('en-US')} events; p50 ${percentile(ours, 0.5).toFixed(2)} ms, p99 ${percentile(ours, 0.99).toFixed(2)} ms; ours with backlinks, counters and search; timers of 1 ms are in both`,
    }
  },
}
