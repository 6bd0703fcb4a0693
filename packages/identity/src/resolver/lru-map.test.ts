import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LruMap } from './lru-map.ts'

describe('LruMap', () => {
  it('gives what was set last, or nothing, and never keeps more than it may', () => {
    const key = fc.integer({ min: 0, max: 30 }).map(String)
    const step = fc.record({ act: fc.constantFrom('set', 'set', 'get', 'peek', 'delete'), key })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.integer({ min: 1, max: 12 }),
        (steps, max) => {
          const map = new LruMap<number>(max)
          const model = new Map<string, number>()
          steps.forEach(({ act, key: name }, index) => {
            if (act === 'set') {
              map.set(name, index)
              model.set(name, index)
              expect(map.peek(name)).toBe(index)
            } else if (act === 'delete') {
              map.delete(name)
              model.delete(name)
              expect(map.get(name)).toBeUndefined()
            } else {
              const value = act === 'get' ? map.get(name) : map.peek(name)
              if (value !== undefined) expect(value).toBe(model.get(name))
            }
            const kept = Array.from({ length: 31 }, (_, n) => map.peek(String(n)))
            expect(kept.filter((value) => value !== undefined).length).toBeLessThanOrEqual(max)
          })
        },
      ),
    )
  })

  it('keeps what is asked for while others come and go', () => {
    const map = new LruMap<number>(100)
    for (let n = 0; n < 10_000; n++) {
      map.set(`passing${n}`, n)
      for (let own = 0; own < 10; own++) {
        if (n === 0) map.set(`own${own}`, own)
        expect(map.get(`own${own}`)).toBe(own)
      }
    }
    expect(map.peek('passing9999')).toBe(9999)
    expect(map.peek('passing9000')).toBeUndefined()
  })

  it('fills to what it may hold, and parts with the oldest first', () => {
    const map = new LruMap<number>(5)
    for (let n = 0; n < 8; n++) map.set(String(n), n)
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((n) => map.peek(String(n)))).toEqual([
      undefined,
      undefined,
      undefined,
      3,
      4,
      5,
      6,
      7,
    ])
  })

  it('adds in bounded time when everything was asked for', () => {
    const map = new LruMap<number>(1000)
    for (let n = 0; n < 1000; n++) map.set(String(n), n)
    for (let n = 0; n < 1000; n++) map.get(String(n))
    map.set('new', 1)
    // Sixteen were passed over; the next one left.
    expect(map.peek('16')).toBeUndefined()
    expect(map.peek('15')).toBe(15)
    expect(map.peek('17')).toBe(17)
  })
})
