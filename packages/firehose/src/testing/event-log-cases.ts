import assert from 'node:assert/strict'
import { encodeEvent } from '../codec.ts'
import type { EventLog, LogAppend } from '../event-log/port.ts'
import { peekFrame } from '../peek.ts'
import { serveEvents } from '../serve.ts'

/** One named property every event log must have. */
export interface ConformanceCase {
  readonly name: string
  readonly run: (harness: EventLogHarness) => Promise<void>
}

/** How the cases open the log under test. */
export interface EventLogHarness {
  /** A log with no events. Its clock is `clock.nowMs`. */
  readonly open: () => Promise<EventLog>
  /** Closes a log from {@link open} and opens it again from what it stored; absent for logs that forget. */
  readonly reopen?: (log: EventLog) => Promise<EventLog>
  readonly clock: { nowMs: number }
}

/** An `#identity` event of the account, as logs take it. */
export function identityAppend(did: string): LogAppend {
  return {
    did,
    encode: (seq) =>
      encodeEvent({ type: 'identity', seq, did, time: '2026-01-01T00:00:00.000Z' }, seq),
  }
}

const A = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const B = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'

async function publish(log: EventLog, count: number, did: string = A): Promise<readonly number[]> {
  return await log.publish(Array.from({ length: count }, () => identityAppend(did)))
}

async function seqs(log: EventLog, after: number): Promise<number[]> {
  const all: number[] = []
  for (let position = after; ;) {
    const page = await log.read(position, { maxEvents: 3 })
    const last = page.at(-1)
    if (last === undefined) return all
    all.push(...page.map((entry) => entry.seq))
    position = last.seq
  }
}

/** The frames a subscriber gets until `count` of them arrived or the stream ended. */
async function collect(
  log: EventLog,
  cursor: number | undefined,
  count: number,
): Promise<ReturnType<typeof peekFrame>[]> {
  const frames: ReturnType<typeof peekFrame>[] = []
  for await (const frame of serveEvents(log, { cursor })) {
    frames.push(peekFrame(frame))
    if (frames.length === count) break
  }
  return frames
}

/** What {@link EventLog} promises, as runnable cases. Every adapter passes all of them. */
export const eventLogCases: readonly ConformanceCase[] = [
  {
    name: 'numbers events upwards from a positive number and reads them back in order',
    run: async ({ open }) => {
      await using log = await open()
      const given = await publish(log, 10)
      assert.ok((given[0] ?? 0) >= 1)
      assert.deepEqual(
        given,
        given.toSorted((a, b) => a - b),
      )
      assert.equal(new Set(given).size, 10)
      assert.deepEqual(await seqs(log, 0), given)
      assert.equal(log.bounds().last, given.at(-1))
      for (const entry of await log.read(0)) {
        assert.equal(peekFrame(entry.frame).seq, entry.seq)
        assert.equal(entry.did, A)
      }
    },
  },
  {
    name: 'reads from the middle, from the tip and beyond it',
    run: async ({ open }) => {
      await using log = await open()
      const given = await publish(log, 7)
      assert.deepEqual(await seqs(log, given[2] ?? 0), given.slice(3))
      assert.deepEqual(await seqs(log, given[6] ?? 0), [])
      assert.deepEqual(await seqs(log, (given[6] ?? 0) + 100), [])
    },
  },
  {
    name: 'gives at least one event of a page however small its byte limit',
    run: async ({ open }) => {
      await using log = await open()
      const given = await publish(log, 5)
      const page = await log.read(0, { maxBytes: 1 })
      assert.deepEqual(
        page.map((entry) => entry.seq),
        given.slice(0, 1),
      )
    },
  },
  {
    name: 'wakes who waits for more, and only then',
    run: async ({ open }) => {
      await using log = await open()
      const { last } = log.bounds()
      let woken = false
      const waiting = log.changed(last).then(() => {
        woken = true
      })
      await Promise.resolve()
      assert.equal(woken, false)
      await publish(log, 1)
      await waiting
      await log.changed(last)
    },
  },
  {
    name: 'lets a waiter leave by its signal',
    run: async ({ open }) => {
      await using log = await open()
      const stop = new AbortController()
      const waiting = log.changed(log.bounds().last, stop.signal)
      stop.abort(new Error('left'))
      await assert.rejects(waiting, /left/)
    },
  },
  {
    name: 'fails waiters when it closes',
    run: async ({ open }) => {
      const log = await open()
      const waiting = log.changed(log.bounds().last)
      const failed = assert.rejects(waiting, { code: 'LogClosed' })
      await log[Symbol.asyncDispose]()
      await failed
    },
  },
  {
    name: 'publishes nothing when one event cannot be encoded',
    run: async ({ open }) => {
      await using log = await open()
      await publish(log, 2)
      const before = await seqs(log, 0)
      const broken: LogAppend = {
        did: A,
        encode: () => {
          throw new RangeError('cannot encode')
        },
      }
      await assert.rejects(log.publish([identityAppend(A), broken]), /cannot encode/)
      assert.deepEqual(await seqs(log, 0), before)
      const [next] = await publish(log, 1)
      assert.ok((next ?? 0) > (before.at(-1) ?? 0))
      assert.deepEqual(await seqs(log, 0), [...before, next])
    },
  },
  {
    name: 'erases one account from the whole window and leaves the others',
    run: async ({ open }) => {
      await using log = await open()
      const kept: number[] = []
      for (let i = 0; i < 5; i++) {
        await publish(log, 1, A)
        kept.push(...(await publish(log, 1, B)))
      }
      await seqs(log, 0)
      assert.equal(await log.eraseDid(A), 5)
      assert.deepEqual(await seqs(log, 0), kept)
      const [next] = await publish(log, 1, A)
      assert.deepEqual(await seqs(log, 0), [...kept, next])
    },
  },
  {
    name: 'never reuses the number of an erased newest event',
    run: async ({ open, reopen }) => {
      let log = await open()
      const given = await publish(log, 3, B)
      const erased = await publish(log, 1, A)
      await log.eraseDid(A)
      if (reopen !== undefined) log = await reopen(log)
      const [next] = await publish(log, 1, B)
      assert.ok((next ?? 0) > (erased[0] ?? 0))
      assert.deepEqual(await seqs(log, 0), [...given, next])
      await log[Symbol.asyncDispose]()
    },
  },
  {
    name: 'trims by age and remembers how far',
    run: async ({ open, clock }) => {
      await using log = await open()
      const old = await publish(log, 4)
      clock.nowMs += 10_000
      const young = await publish(log, 3)
      assert.equal(await log.trim({ beforeMs: clock.nowMs - 5_000 }), 4)
      assert.deepEqual(await seqs(log, 0), young)
      assert.equal(log.bounds().first, (old.at(-1) ?? 0) + 1)
      assert.equal(await log.trim({ beforeMs: clock.nowMs - 5_000 }), 0)
    },
  },
  {
    name: 'trims by bytes from the oldest end',
    run: async ({ open }) => {
      await using log = await open()
      const given = await publish(log, 10)
      const size = (await log.read(0, { maxEvents: 1 }))[0]?.frame.length ?? 0
      assert.equal(await log.trim({ maxBytes: size * 4 }), 6)
      assert.deepEqual(await seqs(log, 0), given.slice(6))
    },
  },
  {
    name: 'continues above everything after trimming all',
    run: async ({ open, reopen, clock }) => {
      let log = await open()
      const given = await publish(log, 3)
      clock.nowMs += 1_000
      await log.trim({ beforeMs: clock.nowMs })
      if (reopen !== undefined) log = await reopen(log)
      assert.ok(log.bounds().last >= (given.at(-1) ?? 0))
      assert.equal(log.bounds().first, (given.at(-1) ?? 0) + 1)
      const [next] = await publish(log, 1)
      assert.ok((next ?? 0) > (given.at(-1) ?? 0))
      await log[Symbol.asyncDispose]()
    },
  },
  {
    name: 'finds the place of a moment',
    run: async ({ open, clock }) => {
      await using log = await open()
      const start = clock.nowMs
      const given: number[] = []
      for (let i = 0; i < 12; i++) {
        given.push(...(await publish(log, 2)))
        clock.nowMs += 10
      }
      const { last } = log.bounds()
      for (let ms = -5; ms < 130; ms += 5) {
        const after = await log.seek(start + ms)
        const [next] = await log.read(after, { maxEvents: 1 })
        const index = Math.max(0, Math.ceil(ms / 10)) * 2
        assert.equal(next?.seq, given[index])
        if (index >= given.length) assert.equal(after, last)
        else assert.ok((next?.atMs ?? 0) >= start + ms)
      }
      // A clock that steps back does not take the log along.
      clock.nowMs = start
      await publish(log, 1)
      const [newest] = await log.read(last)
      assert.equal(newest?.atMs, start + 110)
    },
  },
  {
    name: 'keeps everything across closing and opening',
    run: async ({ open, reopen }) => {
      if (reopen === undefined) return
      let log = await open()
      const given = [...(await publish(log, 5))]
      const frames = (await log.read(0)).map((entry) => entry.frame)
      log = await reopen(log)
      assert.deepEqual(await seqs(log, 0), given)
      assert.deepEqual(
        (await log.read(0)).map((entry) => Uint8Array.from(entry.frame)),
        frames.map((frame) => Uint8Array.from(frame)),
      )
      given.push(...(await publish(log, 2)))
      log = await reopen(log)
      assert.deepEqual(await seqs(log, 0), given)
      await log[Symbol.asyncDispose]()
    },
  },
  {
    name: 'serves by the cursor rules: none, 0, in window, tip, future',
    run: async ({ open }) => {
      await using log = await open()
      const given = [...(await publish(log, 5))]
      const live = collect(log, undefined, 2)
      const tip = collect(log, given[4], 2)
      given.push(...(await publish(log, 2)))
      assert.deepEqual(
        (await live).map((frame) => frame.seq),
        given.slice(5),
      )
      assert.deepEqual(
        (await tip).map((frame) => frame.seq),
        given.slice(5),
      )
      assert.deepEqual(
        (await collect(log, 0, 7)).map((frame) => frame.seq),
        given,
      )
      assert.deepEqual(
        (await collect(log, given[1], 5)).map((frame) => frame.seq),
        given.slice(2),
      )
      const future = await collect(log, (given.at(-1) ?? 0) + 1, 10)
      assert.deepEqual(
        future.map((frame) => frame.op),
        [-1],
      )
    },
  },
  {
    name: 'tells a subscriber whose cursor is older than the log, but not one that asks for everything',
    run: async ({ open, clock }) => {
      await using log = await open()
      const given = await publish(log, 4)
      clock.nowMs += 10_000
      const young = await publish(log, 2)
      await log.trim({ beforeMs: clock.nowMs - 5_000 })
      const outdated = await collect(log, given[1], 3)
      assert.deepEqual(
        outdated.map((frame) => frame.type ?? ''),
        ['#info', '#identity', '#identity'],
      )
      assert.deepEqual(
        outdated.slice(1).map((frame) => frame.seq),
        young,
      )
      const edge = await collect(log, given[3], 2)
      assert.deepEqual(
        edge.map((frame) => frame.seq),
        young,
      )
      const everything = await collect(log, 0, 2)
      assert.deepEqual(
        everything.map((frame) => frame.seq),
        young,
      )
    },
  },
  {
    name: 'hands over from replay to live without gap or double while events keep coming',
    run: async ({ open }) => {
      await using log = await open()
      const given = [...(await publish(log, 20))]
      const total = 220
      const readers = [0, given[3], given[19], given[7]].map((cursor) =>
        collect(log, cursor, total - (cursor === 0 ? 0 : given.indexOf(cursor ?? 0) + 1)),
      )
      while (given.length < total) {
        given.push(...(await publish(log, 1 + (given.length % 3))))
        await Promise.resolve()
      }
      const starts = [0, 4, 20, 8]
      for (const [index, reader] of readers.entries()) {
        const got = (await reader).map((frame) => frame.seq)
        assert.deepEqual(got, given.slice(starts[index] ?? 0, total))
      }
    },
  },
  {
    name: 'cuts off a subscriber that was live and fell too far behind',
    run: async ({ open }) => {
      await using log = await open()
      await publish(log, 1)
      const stream = serveEvents(log, { maxLagEvents: 10 })
      const first = stream.next()
      await publish(log, 1)
      assert.equal((await first).done, false)
      await publish(log, 30)
      const second = await stream.next()
      assert.equal(second.done, false)
      if (second.value !== undefined) assert.equal(peekFrame(second.value).op, -1)
      assert.equal((await stream.next()).done, true)
    },
  },
  {
    name: 'cuts off a subscriber that retention overtook',
    run: async ({ open, clock }) => {
      await using log = await open()
      await publish(log, 5)
      const stream = serveEvents(log, { cursor: 0 })
      await stream.next()
      clock.nowMs += 10_000
      await publish(log, 5)
      await log.trim({ beforeMs: clock.nowMs - 5_000 })
      const next = await stream.next()
      if (next.value !== undefined) assert.equal(peekFrame(next.value).op, -1)
      assert.equal((await stream.next()).done, true)
    },
  },
  {
    name: 'ends a waiting subscriber quietly by its signal',
    run: async ({ open }) => {
      await using log = await open()
      const stop = new AbortController()
      const stream = serveEvents(log, { signal: stop.signal })
      const next = stream.next()
      stop.abort()
      assert.deepEqual(await next, { value: undefined, done: true })
    },
  },
]
