import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { EventLog } from '../src/event-log/port.ts'
import { findRecord } from '../src/event-log/segments/record.ts'
import { openSegmentEventLog } from '../src/event-log/segments/open-segments.ts'
import { removeThrough } from '../src/event-log/segments/retention.ts'
import { SegmentSet } from '../src/event-log/segments/segment-set.ts'
import type { SegmentWriter } from '../src/event-log/segments/segment-writer.ts'
import { newSegmentInfo, type SegmentInfo } from '../src/event-log/segments/segment.ts'
import { peekFrame } from '../src/peek.ts'
import { createRandom, identityAppend } from '../src/testing/index.ts'
import { compileCacheEnv } from './support/compile-cache.ts'
import { flipBit } from './support/flip-bit.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'skywright-segments-'))
  folders.push(folder)
  return folder
}

const did = (n: number) => `did:plc:${String(n).padStart(24, 'a')}`
const events = (count: number) =>
  Array.from({ length: count }, (_, i) => identityAppend(did(i % 5)))

async function everything(log: EventLog): Promise<number[]> {
  const seqs: number[] = []
  for (let position = 0; ;) {
    const page = await log.read(position)
    const end = page.at(-1)
    if (end === undefined) return seqs
    for (const entry of page) expect(peekFrame(entry.frame).seq).toBe(entry.seq)
    seqs.push(...page.map((entry) => entry.seq))
    position = end.seq
  }
}

async function written(
  count: number,
  segmentBytes = 2_000,
): Promise<{ folder: string; files: string[] }> {
  const folder = await scratch()
  await using log = await openSegmentEventLog({ folder, segmentBytes, sequence: 'counter' })
  for (let i = 0; i < count; i += 5) await log.publish(events(5))
  const files = (await readdir(folder)).filter((name) => name.endsWith('.seg')).toSorted()
  return { folder, files: files.map((name) => join(folder, name)) }
}

/** A copy of a log's folder, to be damaged. */
async function copied(folder: string): Promise<AsyncDisposable & { readonly folder: string }> {
  const copy = await mkdtemp(join(tmpdir(), 'skywright-segments-'))
  await cp(folder, copy, { recursive: true })
  return { folder: copy, [Symbol.asyncDispose]: () => rm(copy, { recursive: true }) }
}

describe('openSegmentEventLog', () => {
  it('reopens whatever prefix of its newest file is there, and goes on above it', async () => {
    const { folder, files } = await written(60, 1e9)
    const [file = ''] = files
    const { size } = await stat(file)
    const random = createRandom(6)
    const all = Array.from({ length: 60 }, (_, i) => i + 1)
    const cuts = new Set<number>()
    for (let round = 0; round < 250; round++) {
      await using copy = await copied(folder)
      const length = random.integer(size + 1)
      await truncate(join(copy.folder, basename(file)), length)
      await using log = await openSegmentEventLog({ folder: copy.folder, sequence: 'counter' })
      const found = await everything(log)
      expect(found).toEqual(all.slice(0, found.length))
      // Whole events up to the cut are there: none is larger than a hundredth more than the mean.
      expect(found.length).toBeGreaterThanOrEqual(Math.floor((length / size) * 60) - 1)
      cuts.add(found.length)
      const [next] = await log.publish(events(1))
      expect(next).toBe(found.length + 1)
      expect(await everything(log)).toEqual([...found, next])
    }
    expect(cuts.size).toBeGreaterThan(40)
  })

  it('loses one event to one flipped bit, wherever it is, and says so', async () => {
    const { folder, files } = await written(100)
    expect(files.length).toBeGreaterThan(3)
    const random = createRandom(7)
    const all = Array.from({ length: 100 }, (_, i) => i + 1)
    const lost = new Set<number>()
    for (let round = 0; round < 250; round++) {
      await using copy = await copied(folder)
      // Behind the magic of the file.
      await flipBit(join(copy.folder, basename(random.pick(files))), 8, random)
      const damage: unknown[] = []
      await using log = await openSegmentEventLog({
        folder: copy.folder,
        onDamage: (one) => damage.push(one),
      })
      const found = await everything(log)
      expect(found).toHaveLength(99)
      expect(all).toEqual(expect.arrayContaining(found))
      expect(damage).toHaveLength(1)
      for (const seq of all) if (!found.includes(seq)) lost.add(seq)
      const [next] = await log.publish(events(1))
      expect(next).toBeGreaterThan(100)
      expect(await everything(log)).toEqual([...found, next])
    }
    expect(lost.size).toBeGreaterThan(60)
  })

  it('gives readers everything while accounts are erased and old files trimmed under them', async () => {
    const folder = await scratch()
    await using log = await openSegmentEventLog({
      folder,
      segmentBytes: 1_500,
      tailBytes: 500,
      sequence: 'counter',
    })
    await log.publish(events(400))
    const expected = Array.from({ length: 400 }, (_, i) => i + 1).filter((seq) => seq % 5 !== 1)
    const readers = Array.from({ length: 4 }, async () => {
      const seen: number[] = []
      for (let position = 0; ;) {
        const page = await log.read(position, { maxEvents: 7 })
        const end = page.at(-1)
        if (end === undefined) return seen
        seen.push(...page.map((entry) => entry.seq))
        position = end.seq
      }
    })
    expect(await log.eraseDid(did(0))).toBe(80)
    for (const seen of await Promise.all(readers)) {
      expect(seen.filter((seq) => seq % 5 !== 1)).toEqual(expected)
    }
    expect(await everything(log)).toEqual(expected)
    await log.trim({ maxBytes: 5_000 })
    const left = await everything(log)
    expect(left).toEqual(expected.slice(-left.length))
    expect((await readdir(folder)).length).toBeLessThan(10)
  })

  it('knows its finished files without reading them again, unless they or what it knows changed', async () => {
    const { folder, files } = await written(300)
    expect(files.length).toBeGreaterThan(5)
    const names = await readdir(folder)
    expect(names.filter((name) => name.endsWith('.idx'))).toHaveLength(files.length - 1)
    const look = async (): Promise<readonly [unknown, unknown, unknown]> => {
      await using log = await openSegmentEventLog({ folder, sequence: 'counter' })
      return [await everything(log), log.bounds(), await log.seek(Date.now() + 1e6)]
    }
    const all = await look()
    expect(all[0]).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))
    // Nonsense in the middle of a finished file is met by whoever reads there, not by opening.
    const [, second = ''] = files
    {
      await using file = await open(second, 'r+')
      await file.write(new Uint8Array(10), 0, 10, 500)
    }
    const damage: unknown[] = []
    {
      await using log = await openSegmentEventLog({ folder, onDamage: (one) => damage.push(one) })
      expect(damage).toEqual([])
      expect(await everything(log)).toHaveLength(299)
      expect(await everything(log)).toHaveLength(299)
      expect(damage).toHaveLength(1)
    }
    // An index that is damaged, of another file, or gone costs a reading.
    const indexes = files.slice(0, -1).map((file) => `${file}.idx`)
    const [one = '', two = '', three = ''] = indexes
    await truncate(one, 40)
    await cp(two, three)
    const rest = (await look())[0]
    expect(rest).toHaveLength(299)
    for (const index of indexes) await rm(index)
    expect((await look())[0]).toEqual(rest)
    expect((await readdir(folder)).filter((name) => name.endsWith('.idx')).length).toBe(
      files.length - 1,
    )
  })

  it('goes on writing while erased events are removed from its files', async () => {
    const folder = await scratch()
    await using log = await openSegmentEventLog({
      folder,
      segmentBytes: 20_000,
      sequence: 'counter',
    })
    await log.publish(events(3_000))
    const erasing = [0, 1].map((n) => log.eraseDid(did(n)))
    let during = 0
    let done = false
    const erased = Promise.all(erasing).finally(() => (done = true))
    while (!done) {
      await log.publish([identityAppend(did(3))])
      during++
    }
    expect(await erased).toEqual([600, 600])
    expect(during).toBeGreaterThan(3)
    const found = await everything(log)
    expect(found).toEqual(
      Array.from({ length: 3_000 + during }, (_, i) => i + 1).filter(
        (seq) => seq > 3_000 || ![1, 2].includes(seq % 5),
      ),
    )
    await log[Symbol.asyncDispose]()
    await using again = await openSegmentEventLog({ folder, sequence: 'counter' })
    expect(await everything(again)).toEqual(found)
  })

  it('trims the file it writes to without losing what is being written', async () => {
    const folder = await scratch()
    let nowMs = 1_000
    await using log = await openSegmentEventLog({ folder, sequence: 'counter', now: () => nowMs })
    for (let round = 0; round < 30; round++) {
      await log.publish(events(5))
      nowMs += 10
      const [trimmed, [seq = 0]] = await Promise.all([
        log.trim({ beforeMs: nowMs }),
        log.publish(events(1)),
      ])
      expect(trimmed).toBeGreaterThan(0)
      expect(await everything(log)).toEqual([seq])
    }
    expect((await readdir(folder)).filter((name) => name.endsWith('.seg')).length).toBeLessThan(4)
  })

  it('keeps on disk what is written while all before it is trimmed', async () => {
    const folder = await scratch()
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    const rounds = 30
    let nowMs = 1_000
    /** Turns of the event loop that a trimming took when nothing else was done. */
    let turns = 0
    for (let round = 0; round < rounds; round++) {
      await using log = await openSegmentEventLog({ folder, sequence: 'counter', now: () => nowMs })
      await log.publish(events(5))
      nowMs += 10
      let done = false
      const trimming = log.trim({ beforeMs: nowMs }).finally(() => (done = true))
      const kept: number[] = []
      // Each round begins to write a little later into the trimming.
      const wait = round === 0 ? Infinity : (turns * round) / rounds
      for (let i = 0; i < wait && !done; i++) {
        await turn()
        if (round === 0) turns++
      }
      if (round > 0) kept.push(...(await log.publish(events(1))))
      await trimming
      await log[Symbol.asyncDispose]()
      await using again = await openSegmentEventLog({ folder, sequence: 'counter' })
      expect(await everything(again)).toEqual(kept)
      nowMs += 10
    }
  })

  it('removes no file to which something was appended while its turn came', async () => {
    const folder = await scratch()
    const path = join(folder, '0000000000000001-00000000.seg')
    await writeFile(path, 'a segment')
    const segment = { ...newSegmentInfo(path, 1), last: 5 }
    const segments = new SegmentSet({ folder, segments: [segment], onDamage: () => undefined })
    let appended = 6
    const writer = {
      withSealed: async (sealed: SegmentInfo, work: () => Promise<void>) => {
        sealed.last = appended
        await work()
      },
    } as unknown as SegmentWriter
    await removeThrough(segments, writer, 5)
    expect(await readdir(folder)).toHaveLength(1)
    appended = 5
    segment.last = 5
    await removeThrough(segments, writer, 5)
    expect(await readdir(folder)).toEqual([])
  })

  it('shows what an account sends after everything before it was hidden', async () => {
    const folder = await scratch()
    await using log = await openSegmentEventLog({ folder, sequence: 'counter', tailBytes: 1 })
    await log.publish([identityAppend(did(1)), identityAppend(did(2))])
    await log.hideDid(did(1))
    await log.publish([identityAppend(did(1)), identityAppend(did(2))])
    expect(await everything(log)).toEqual([2, 3, 4])
    await log.removeHidden()
    expect(await everything(log)).toEqual([2, 3, 4])
  })

  it('keeps a note beside each event, also through a rewrite', async () => {
    const folder = await scratch()
    const note = (n: number) => new TextEncoder().encode(`note ${String(n)}`)
    {
      await using log = await openSegmentEventLog({ folder, sequence: 'counter' })
      await log.publish(events(10).map((event, n) => ({ ...event, note: note(n) })))
      await log.publish(events(1))
      await log.eraseDid(did(1))
    }
    await using log = await openSegmentEventLog({ folder, sequence: 'counter' })
    const notes = (await log.read(0)).map((entry) => new TextDecoder().decode(entry.note))
    expect(notes).toEqual([0, 2, 3, 4, 5, 7, 8, 9].map((n) => `note ${String(n)}`).concat(''))
    await expect(
      log.publish(events(1).map((event) => ({ ...event, note: new Uint8Array(10_000) }))),
    ).rejects.toThrow(RangeError)
    // The others are not to suffer from it.
    expect(await log.publish(events(1))).toHaveLength(1)
  })

  it('never goes below a number that was remembered elsewhere', async () => {
    const folder = await scratch()
    await using log = await openSegmentEventLog({ folder, sequence: 'counter', above: 70 })
    expect(log.bounds().last).toBe(70)
    expect(await log.publish(events(2))).toEqual([71, 72])
  })

  it('copies events under their own numbers and refuses those that do not go up', async () => {
    const folder = await scratch()
    const numbered = (seq: number) => ({
      seq,
      did: did(1),
      frame: identityAppend(did(1)).encode(seq),
    })
    {
      await using log = await openSegmentEventLog({ folder, sequence: 'counter' })
      await log.copy([numbered(5), numbered(9)])
      for (const bad of [
        [numbered(9)],
        [numbered(20), numbered(20)],
        [{ ...numbered(1), seq: -1 }],
      ]) {
        await expect(log.copy(bad)).rejects.toThrow(RangeError)
      }
      await log.copy([numbered(10)])
      expect(await everything(log)).toEqual([5, 9, 10])
    }
    await using log = await openSegmentEventLog({ folder, sequence: 'counter' })
    expect(log.bounds()).toEqual({ first: 1, last: 10 })
    // What lies between was missed: nobody may believe to have read it.
    expect(await log.forgetThrough(99)).toBe(3)
    expect(log.bounds()).toEqual({ first: 100, last: 99 })
    await log.copy([numbered(100)])
    expect(await everything(log)).toEqual([100])
  })

  it('is closed by a write that failed', async () => {
    const folder = await scratch()
    await using log = await openSegmentEventLog({ folder, sequence: 'counter' })
    await rm(folder, { recursive: true })
    await expect(log.publish(events(1))).rejects.toMatchObject({ code: 'ENOENT' })
    await mkdir(folder)
    await expect(log.publish(events(1))).rejects.toMatchObject({ code: 'LogClosed' })
    await expect(log.changed(log.bounds().last)).rejects.toMatchObject({ code: 'LogClosed' })
  })

  it('shares one write among events published at the same time', async () => {
    const folder = await scratch()
    await using log = await openSegmentEventLog({ folder, sequence: 'counter' })
    const seqs = await Promise.all(Array.from({ length: 300 }, () => log.publish(events(1))))
    expect(seqs.flat()).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))
    expect(await everything(log)).toEqual(seqs.flat())
  })

  it.each([1, 2, 3])(
    'keeps what it acknowledged when killed (%i)',
    { timeout: 30_000 },
    async (round) => {
      await killRounds(await scratch(), 2, round)
    },
  )
})

describe('findRecord', () => {
  it('finds nothing in noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        expect(findRecord(bytes, 0)).toBeUndefined()
      }),
    )
  })
})

/** Kills a writing process at random moments; nothing it acknowledged may be lost or doubled. */
async function killRounds(folder: string, rounds: number, seed: number): Promise<void> {
  const random = createRandom(seed)
  let acknowledged = 0
  for (let round = 0; round < rounds; round++) {
    const script = fileURLToPath(new URL('support/segment-writer.ts', import.meta.url))
    const child = spawn(
      process.execPath,
      ['--conditions=@skywright/source', '--no-warnings', script, folder],
      { stdio: ['ignore', 'pipe', 'inherit'], env: compileCacheEnv },
    )
    const stopAt = 20 + random.integer(300)
    let here = 0
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Math.max(acknowledged, Number(line))
      if (++here === stopAt) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await using log = await openSegmentEventLog({ folder, sequence: 'counter' })
    const found = await everything(log)
    expect(found.length).toBeGreaterThanOrEqual(acknowledged)
    expect(found).toEqual(Array.from({ length: found.length }, (_, i) => i + 1))
  }
  expect(acknowledged).toBeGreaterThan(20)
}
