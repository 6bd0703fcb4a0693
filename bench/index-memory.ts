// Indexes a live stream that another process makes, as it would come over a socket, and prints its highest resident set in
// megabytes.
//   node index-memory.js ours|rival COMMITS EVENTS_PER_SECOND
// Each event is four bytes of length and the event in CBOR.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { CommitEvent } from './index-load.ts'

const [who = '', ...load] = process.argv.slice(2)
const LENGTH_BYTES = 4
const EVENTS_PER_WRITE = 100

async function feed(commits: number, rate: number): Promise<void> {
  const { RecordStream } = await import('./index-load.ts')
  const { encodeCbor } = await import('@skywright/repo/cbor')
  const stream = new RecordStream({ accounts: 100_000 })
  const started = performance.now()
  for (let seq = 1; seq <= commits;) {
    const early = started + (seq / rate) * 1000 - performance.now()
    if (early > 1) await setTimeout(early)
    const parts: Uint8Array[] = []
    for (let n = 0; n < EVENTS_PER_WRITE && seq <= commits; n++, seq++) {
      const event = encodeCbor({ ...stream.commit(seq) })
      const length = Buffer.alloc(LENGTH_BYTES)
      length.writeUInt32LE(event.length)
      parts.push(length, event)
    }
    if (!process.stdout.write(Buffer.concat(parts))) await once(process.stdout, 'drain')
  }
}

async function* events(): AsyncGenerator<CommitEvent> {
  const { decodeCbor } = await import('@skywright/repo/cbor')
  const script = fileURLToPath(import.meta.url)
  const feeder = spawn(process.execPath, [script, 'feed', ...load], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let waiting: Buffer = Buffer.alloc(0)
  for await (const chunk of feeder.stdout as AsyncIterable<Buffer>) {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk])
    let at = 0
    while (waiting.length >= at + LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + waiting.readUInt32LE(at)
      if (end > waiting.length) break
      // What `feed` encoded.
      yield decodeCbor(waiting.subarray(at + LENGTH_BYTES, end)) as unknown as CommitEvent
      at = end
    }
    waiting = waiting.subarray(at)
  }
}

async function indexOurs(path: string): Promise<void> {
  const { openIndexer } = await import('@skywright/appview-indexer')
  const { openSqliteIndexStore } = await import('@skywright/appview-indexer/sqlite')
  const { collections, sourceOf } = await import('./index-load.ts')
  await using index = await openIndexer({ store: openSqliteIndexStore(path), collections })
  await index.run(sourceOf(events()))
}

async function indexRival(path: string): Promise<void> {
  const { recordOf } = await import('./index-load.ts')
  const { HandWrittenIndex } = await import('./index-rivals.ts')
  using index = new HandWrittenIndex(path)
  for await (const event of events()) index.write(event.did, recordOf(event), event.seq)
}

if (who === 'feed') {
  const [commits, perSecond] = load.map(Number)
  await feed(commits ?? 0, perSecond ?? Infinity)
} else {
  const { timeOnFile } = await import('./index-load.ts')
  await timeOnFile(who === 'ours' ? indexOurs : indexRival)
  console.log(process.resourceUsage().maxRSS / 1024)
}
