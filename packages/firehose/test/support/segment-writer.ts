// Publishes into a segment log for ever and prints the last acknowledged number; its parent kills it.
import { writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { openSegmentEventLog } from '../../src/event-log/segments/open-segments.ts'
import { identityAppend } from '../../src/testing/index.ts'

const [folder = ''] = process.argv.slice(2)
// Who is killed never gets to it later.
flushCompileCache()
const log = await openSegmentEventLog({ folder, segmentBytes: 20_000, sequence: 'counter' })
for (let i = 0; ; i++) {
  const batch = Array.from({ length: 1 + (i % 4) }, () =>
    identityAppend('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'),
  )
  const seqs = await log.publish(batch)
  writeSync(1, `${String(seqs.at(-1))}\n`)
}
