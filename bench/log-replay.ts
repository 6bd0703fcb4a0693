import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sequencer as reference } from '@atproto/pds'
import { MessageFrame } from '@atproto/xrpc-server'
import { patchSeq, peekFrame, serveEvents, type EventLog } from '@skywright/firehose'
import { decodeCborPrefix, encodeCbor } from '@skywright/repo'
import { readLiveFrames } from './fixtures.ts'
import { race, type Row } from './row.ts'

const EVENTS = 6_000
/** What a PDS and we read at a time. */
const PAGE = 500

/**
 * Replay to one subscriber from a log on disk that holds nothing in memory, beside the sequencer of the reference PDS,
 * which reads a page of rows, decodes each, and encodes a frame of it.
 */
export function logReplayRow(kind: string, openLog: (folder: string) => Promise<EventLog>): Row {
  return {
    work: `replay stored commits to one subscriber from ${kind}, up to the bytes that go onto the socket`,
    unit: '/s',
    rivalName: '@atproto/pds sequencer',
    async measure() {
      const frames = readLiveFrames().frames.filter((frame) => peekFrame(frame).type === '#commit')
      const folder = mkdtempSync(join(tmpdir(), 'skywright-bench-'))
      try {
        await fill(await openLog(folder), frames)
        // Opened anew: the cache of the newest frames is empty.
        await using log = await openLog(folder)
        const sequencer = await fillReference(join(folder, 'reference.sqlite'), frames)
        const bytes = await replay(log)
        const rivalBytes = await replayReference(sequencer)
        // The same frames; only the length of seq and time differs.
        if (Math.abs(bytes / rivalBytes - 1) > 0.02)
          throw new Error(`not the same work; bytes=${bytes} rival=${rivalBytes}`)
        const rates = await race(
          { run: async () => (await replay(log), EVENTS) },
          { run: async () => (await replayReference(sequencer), EVENTS) },
        )
        await sequencer.destroy()
        const mean = Math.round(bytes / EVENTS)
        return {
          ...rates,
          note: `${EVENTS.toLocaleString('en-US')} captured commits, ${mean} bytes each`,
        }
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  }
}

async function fill(log: EventLog, frames: readonly Uint8Array[]): Promise<void> {
  for (let start = 0; start < EVENTS; start += PAGE) {
    await log.publish(
      Array.from({ length: Math.min(PAGE, EVENTS - start) }, (_, i) => {
        const frame = frames[(start + i) % frames.length] ?? new Uint8Array()
        return { did: peekFrame(frame).did ?? '', encode: (seq: number) => patchSeq(frame, seq) }
      }),
    )
  }
  await log[Symbol.asyncDispose]()
}

async function replay(log: EventLog): Promise<number> {
  let bytes = 0
  let count = 0
  for await (const frame of serveEvents(log, { cursor: 0 })) {
    bytes += frame.length
    if (++count === EVENTS) break
  }
  return bytes
}

type Sequencer = InstanceType<typeof reference.Sequencer>

async function fillReference(path: string, frames: readonly Uint8Array[]): Promise<Sequencer> {
  // What it tells of its crawlers is not part of the work.
  const crawlers = { notifyOfUpdate: () => undefined } as unknown as ConstructorParameters<
    typeof reference.Sequencer
  >[1]
  const sequencer = new reference.Sequencer(path, crawlers)
  await sequencer.start()
  for (let start = 0; start < EVENTS; start += PAGE) {
    await sequencer.sequenceEvts(
      Array.from({ length: Math.min(PAGE, EVENTS - start) }, (_, i) => {
        const frame = frames[(start + i) % frames.length] ?? new Uint8Array()
        const { value } = decodeCborPrefix(frame, decodeCborPrefix(frame).end)
        const { seq: _seq, time, ...event } = value as Record<string, unknown>
        return {
          did: String(event['repo']),
          eventType: 'append' as const,
          event: encodeCbor(event),
          sequencedAt: String(time),
        }
      }),
    )
  }
  return sequencer
}

async function replayReference(sequencer: Sequencer): Promise<number> {
  let bytes = 0
  let count = 0
  for (let cursor = 0; count < EVENTS;) {
    const events = await sequencer.requestSeqRange({ earliestSeq: cursor, limit: PAGE })
    for (const { seq, time, evt } of events) {
      bytes += new MessageFrame({ seq, time, ...evt }, { type: '#commit' }).toBytes().length
      cursor = seq
      count++
    }
    if (events.length === 0) throw new Error('the rival lost events')
  }
  return bytes
}
