import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs } from '../src/backoff.ts'
import { createCollectionMatcher } from '../src/filter.ts'
import { LowWater } from '../src/low-water.ts'
import { KeyedQueue } from '../src/queue.ts'

describe('LowWater', () => {
  it('is the highest number with nothing unfinished at or below it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat()), {
          minLength: 1,
          maxLength: 60,
        }),
        (steps) => {
          const lowWater = new LowWater(undefined)
          let seq = 0
          const open: { seq: number; finish: () => void }[] = []
          const unfinished = new Set<number>()
          const started: number[] = []
          for (const [gap, pick] of steps) {
            seq += gap
            started.push(seq)
            unfinished.add(seq)
            open.push({ seq, finish: lowWater.start(seq) })
            if (pick % 3 !== 0) {
              const [one] = open.splice(pick % open.length, 1)
              one?.finish()
              if (one !== undefined) unfinished.delete(one.seq)
            }
            const below = started.filter((n) => n < Math.min(Infinity, ...unfinished))
            expect(lowWater.value).toBe(below.at(-1))
            expect(lowWater.pending).toBe(started.length - below.length)
          }
        },
      ),
    )
  })

  it('survives a long backlog that finishes in reverse', () => {
    const lowWater = new LowWater(0)
    const finishes = Array.from({ length: 20_000 }, (_, i) => lowWater.start(i + 1))
    for (const finish of finishes.toReversed()) {
      expect(lowWater.value).toBe(0)
      finish()
    }
    expect(lowWater.value).toBe(20_000)
    expect(lowWater.pending).toBe(0)
  })
})

describe('KeyedQueue', () => {
  it('keeps the order of each key and its bounds, whatever the tasks do', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(6), fc.nat(4)), { maxLength: 120 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 20 }),
        async (tasks, concurrency, maxItems) => {
          const queue = new KeyedQueue({ concurrency, maxItems })
          const done: [number, number][] = []
          const running = new Set<number>()
          for (const [index, [key, turns]] of tasks.entries()) {
            await queue.push(String(key), 1, async () => {
              expect(running.has(key)).toBe(false)
              running.add(key)
              expect(running.size).toBeLessThanOrEqual(concurrency)
              for (let i = 0; i < turns; i++) await Promise.resolve()
              running.delete(key)
              done.push([key, index])
            })
            expect(queue.size.items).toBeLessThan(maxItems)
          }
          await queue.idle()
          expect(done).toHaveLength(tasks.length)
          for (const key of new Set(tasks.map(([one]) => one))) {
            const indexes = done.filter(([one]) => one === key).map(([, index]) => index)
            expect(indexes).toEqual(indexes.toSorted((a, b) => a - b))
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it.each([
    ['bytes', { maxBytes: 100 }, 60],
    ['items', { maxItems: 2 }, 1],
  ])('makes who pushes wait while too many %s are held', async (_, bounds, bytes) => {
    const queue = new KeyedQueue(bounds)
    const { promise, resolve } = Promise.withResolvers<void>()
    await queue.push('a', bytes, () => promise)
    let pushed = false
    const pushing = queue
      .push('b', bytes, () => promise)
      .then(() => {
        pushed = true
      })
    await new Promise((turn) => setImmediate(turn))
    expect([pushed, queue.size]).toEqual([false, { items: 2, bytes: 2 * bytes }])
    resolve()
    await pushing
    expect(pushed).toBe(true)
  })

  it('does not let one busy key starve the others', async () => {
    const queue = new KeyedQueue({ concurrency: 1 })
    const order: string[] = []
    for (let i = 0; i < 50; i++) {
      await queue.push('busy', 1, async () => {
        await new Promise((resolve) => setImmediate(resolve))
        order.push('busy')
      })
    }
    await queue.push('quiet', 1, () => {
      order.push('quiet')
      return Promise.resolve()
    })
    await queue.idle()
    expect(order.indexOf('quiet')).toBeLessThan(50)
  })

  it('fails as a whole when a task fails', async () => {
    const queue = new KeyedQueue()
    await queue.push('a', 1, () => Promise.reject(new Error('broken')))
    await expect(queue.idle()).rejects.toThrow('broken')
    await expect(queue.push('b', 1, () => Promise.resolve())).rejects.toThrow('broken')
  })
})

describe('createCollectionMatcher', () => {
  it.each([
    ['app.bsky.feed.post', 'app.bsky.feed.post', true],
    ['app.bsky.feed.post', 'app.bsky.feed.postgate', false],
    ['app.bsky.feed.*', 'app.bsky.feed.post', true],
    ['app.bsky.feed.*', 'app.bsky.feedback.post', false],
    ['app.bsky.feed.*', 'app.bsky.feed', false],
    ['app.bsky.*', 'app.bsky.feed.post', true],
    ['*', 'a.b.c', true],
  ])('%s and %s: %s', (pattern, collection, expected) => {
    expect(createCollectionMatcher([pattern])(collection)).toBe(expected)
  })

  it.each(['app.*.post', 'app.bsky*', '.*', '**', 'a.b.*.*'])('refuses %s', (pattern) => {
    expect(() => createCollectionMatcher([pattern])).toThrow(TypeError)
  })
})

describe('backoffMs', () => {
  it('doubles its bound up to the longest delay, and never comes back at once', () => {
    const at = (attempt: number, random: number) => backoffMs(attempt, { random: () => random })
    expect([1, 2, 3, 5, 6, 60].map((n) => at(n, 1))).toEqual([1e3, 2e3, 4e3, 16e3, 3e4, 3e4])
    expect([1, 2, 60].map((n) => at(n, 0))).toEqual([100, 200, 3_000])
  })
})
