import { describe, expect, it } from 'vitest'
import { RateLimit } from './rate-limit.ts'

describe('RateLimit', () => {
  it('refuses the call above the limit and says how long to wait', () => {
    let now = 0
    const limit = new RateLimit({ limit: 2, windowMs: 10_000, now: () => now })
    expect([limit.take('a'), limit.take('a')]).toEqual([undefined, undefined])
    now = 4_000
    expect(limit.take('a')).toBe(6)
    expect(limit.take('b')).toBeUndefined()
    now = 10_000
    expect(limit.take('a')).toBeUndefined()
  })

  it('remembers a bounded number of callers', () => {
    const limit = new RateLimit({ limit: 1, windowMs: 1_000, now: () => 0 })
    limit.take('first')
    for (let i = 0; i < 10_000; i++) limit.take(String(i))
    expect(limit.take('first')).toBeUndefined()
    expect(limit.take('9999')).toBe(1)
  })
})
