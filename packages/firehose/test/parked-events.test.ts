import { describe, expect, it } from 'vitest'
import type { SyncEvent } from '../src/event.ts'
import { ParkedEvents } from '../src/resync/parked-events.ts'

const event = (did: string, seq: number): SyncEvent => ({
  type: 'sync',
  seq,
  did,
  rev: '3lyqw6emh2s2h',
  blocks: new Uint8Array(),
  time: '2026-11-01T00:00:00.000Z',
})

describe('ParkedEvents', () => {
  it('gives the events of an account back in order', () => {
    const parked = new ParkedEvents(10, 1_000)
    for (const seq of [1, 2, 3]) expect(parked.hold(event('a', seq), 10)).toBe(true)
    parked.hold(event('b', 4), 10)
    const seqs: number[] = []
    for (let next = parked.first('a'); next !== undefined; next = parked.first('a')) {
      seqs.push(next.seq)
      parked.passed('a')
    }
    expect(seqs).toEqual([1, 2, 3])
    expect(parked.first('b')?.seq).toBe(4)
    expect(parked.first('c')).toBeUndefined()
    parked.passed('c')
    parked.drop('c')
  })

  it('holds so many of one account, and so many bytes of all', () => {
    const parked = new ParkedEvents(3, 100)
    for (const seq of [1, 2, 3]) expect(parked.hold(event('a', seq), 10)).toBe(true)
    expect(parked.hold(event('a', 4), 10)).toBe(false)
    expect(parked.hold(event('b', 5), 71)).toBe(false)
    expect(parked.hold(event('b', 6), 70)).toBe(true)
    expect(parked.hold(event('c', 7), 1)).toBe(false)
    parked.passed('a')
    expect(parked.hold(event('c', 8), 10)).toBe(true)
    parked.drop('b')
    expect(parked.hold(event('c', 9), 70)).toBe(true)
    parked.drop('a')
    parked.drop('c')
    expect(parked.hold(event('d', 10), 100)).toBe(true)
  })
})
