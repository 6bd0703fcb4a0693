import { copyFile, mkdtemp, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import type { EventLog } from '../src/event-log/port.ts'
import { openSegmentEventLog } from '../src/event-log/segments/open-segments.ts'
import { openSqliteEventLog } from '../src/event-log/sqlite.ts'
import { openEventCursor } from '../src/serve.ts'
import {
  createRandom,
  eventLogCases,
  identityAppend,
  type EventLogHarness,
} from '../src/testing/index.ts'
import { flipBit } from './support/flip-bit.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'skywright-log-'))
  folders.push(folder)
  return folder
}

function memoryHarness(): EventLogHarness {
  const clock = { nowMs: 1_800_000_000_000 }
  return {
    clock,
    open: () => Promise.resolve(createMemoryEventLog({ now: () => clock.nowMs })),
  }
}

function sqliteHarness(sequence: 'clock' | 'counter', tailBytes: number): EventLogHarness {
  const clock = { nowMs: 1_800_000_000_000 }
  let path = ''
  const open = () =>
    openSqliteEventLog({ database: path, sequence, tailBytes, now: () => clock.nowMs })
  return {
    clock,
    open: async () => {
      path = join(await scratch(), 'log.sqlite')
      return open()
    },
    reopen: async (log) => {
      await log[Symbol.asyncDispose]()
      return open()
    },
  }
}

function segmentHarness(segmentBytes: number, tailBytes: number): EventLogHarness {
  const clock = { nowMs: 1_800_000_000_000 }
  let folder = ''
  const open = () =>
    openSegmentEventLog({
      folder,
      segmentBytes,
      tailBytes,
      sequence: 'counter',
      now: () => clock.nowMs,
    })
  return {
    clock,
    open: async () => {
      folder = await scratch()
      return await open()
    },
    reopen: async (log) => {
      await log[Symbol.asyncDispose]()
      return await open()
    },
  }
}

const harnesses: readonly [string, () => EventLogHarness][] = [
  ['memory', memoryHarness],
  ['SQLite, counter', () => sqliteHarness('counter', 1 << 20)],
  ['SQLite, clock', () => sqliteHarness('clock', 1 << 20)],
  ['segments, one file', () => segmentHarness(1 << 20, 1 << 20)],
  ['segments, many files, almost no tail cache', () => segmentHarness(300, 200)],
  ['SQLite, almost no tail cache', () => sqliteHarness('counter', 200)],
]

describe.each(harnesses)('event log: %s', (_name, harness) => {
  it.each(eventLogCases)('$name', async ({ run }) => {
    await run(harness())
  })
})

describe('openSqliteEventLog', () => {
  it('takes part in a transaction of the same database', async () => {
    const database = new DatabaseSync(':memory:')
    await using log = openSqliteEventLog({ database, sequence: 'counter' })
    const { encode } = identityAppend('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')
    database.exec('CREATE TABLE other (x); BEGIN IMMEDIATE; INSERT INTO other VALUES (1)')
    expect(log.append('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', encode)).toBe(1)
    expect(log.bounds().last).toBe(0)
    expect(await log.read(0)).toEqual([])
    database.exec('COMMIT')
    log.committed()
    expect(log.bounds().last).toBe(1)
    expect((await log.read(0)).map((entry) => entry.seq)).toEqual([1])
  })

  it('shows nothing of a transaction that was rolled back', async () => {
    const database = new DatabaseSync(':memory:')
    await using log = openSqliteEventLog({ database, sequence: 'counter' })
    const { encode } = identityAppend('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')
    database.exec('BEGIN IMMEDIATE')
    log.append('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', encode)
    database.exec('ROLLBACK')
    log.rolledBack()
    expect(await log.read(0)).toEqual([])
    expect(log.bounds().last).toBe(0)
    expect(await log.publish([identityAppend('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')])).toEqual([2])
  })

  it('opens with whole transactions whatever became of the end of its write-ahead log', async () => {
    const folder = await scratch()
    const path = join(folder, 'log.sqlite')
    const batches = 40
    const random = createRandom(8)
    // Killed, not closed: nothing was moved from the write-ahead log into the database.
    const database = new DatabaseSync(path)
    database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0')
    const log = openSqliteEventLog({ database, sequence: 'counter' })
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const event = identityAppend('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')
    for (let i = 0; i < batches; i++) await log.publish([event, event, event])
    const { size } = await stat(`${path}-wal`)
    const kept = new Set<number>()
    for (let round = 0; round < 250; round++) {
      const copy = join(folder, `${String(round)}.sqlite`)
      await copyFile(path, copy)
      await copyFile(`${path}-wal`, `${copy}-wal`)
      if (round % 2 === 0) await truncate(`${copy}-wal`, random.integer(size))
      else await flipBit(`${copy}-wal`, 0, random)
      {
        await using damaged = openSqliteEventLog({ database: copy, sequence: 'counter' })
        const found = (await damaged.read(0)).map((entry) => entry.seq)
        expect(found.length % 3).toBe(0)
        expect(found).toEqual(Array.from({ length: found.length }, (_, i) => i + 1))
        kept.add(found.length)
        expect(await damaged.publish([event])).toEqual([found.length + 1])
      }
      await rm(copy)
    }
    expect(kept.size).toBeGreaterThan(20)
    await log[Symbol.asyncDispose]()
    database.close()
  })

  it('continues above the clock after an old copy of the disk was restored', async () => {
    const folder = await scratch()
    const path = join(folder, 'log.sqlite')
    let nowMs = 1_800_000_000_000
    const open = (database: string) => openSqliteEventLog({ database, now: () => nowMs })
    const event = identityAppend('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')
    let last = 0
    {
      await using log = open(path)
      await log.publish([event])
    }
    await copyFile(path, `${path}.old`)
    {
      await using log = open(path)
      for (let i = 0; i < 50; i++) last = (await log.publish([event])).at(-1) ?? 0
    }
    nowMs += 1_000
    await using log = open(`${path}.old`)
    const [next] = await log.publish([event])
    expect(next).toBeGreaterThan(last)
  })
})

describe('openEventCursor', () => {
  it('waits at the tip when what was newest is erased, and does not ask again and again', async () => {
    const log = createMemoryEventLog()
    const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
    await log.publish([identityAppend(did), identityAppend(did)])
    await log.eraseDid(did)
    let reads = 0
    const counted: EventLog = {
      bounds: () => log.bounds(),
      changed: (after, signal) => log.changed(after, signal),
      seek: (atMs) => log.seek(atMs),
      publish: (events) => log.publish(events),
      eraseDid: (gone) => log.eraseDid(gone),
      trim: (options) => log.trim(options),
      [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
      read: (after, options) => {
        if (++reads > 20) throw new Error('asked again and again')
        return log.read(after, options)
      },
    }
    const next = openEventCursor(counted, { cursor: 0 }).next()
    await new Promise((resolve) => setImmediate(resolve))
    expect(reads).toBe(1)
    await log.publish([identityAppend(did)])
    expect(await next).toMatchObject({ kind: 'entries', entries: [{ seq: 3 }] })
  })
})
