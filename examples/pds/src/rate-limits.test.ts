import { describe, expect, it } from 'vitest'
import { createRateLimiter } from './rate-limits.ts'

describe('createRateLimiter', () => {
  it('holds callers to every budget, each for itself', () => {
    let now = 0
    const limiter = createRateLimiter(
      [
        { points: 3, windowMs: 1_000 },
        { points: 5, windowMs: 10_000 },
      ],
      () => now,
    )
    limiter.consume('a', 2)
    // Refused as a whole: one more point still fits.
    expect(() => limiter.consume('a', 2)).toThrow(
      expect.objectContaining({
        status: 429,
        error: 'RateLimitExceeded',
        headers: expect.objectContaining({
          'retry-after': '1',
          'ratelimit-limit': '3',
          'ratelimit-remaining': '1',
          'ratelimit-policy': '3;w=1',
        }) as object,
      }),
    )
    limiter.consume('a')
    limiter.consume('b', 3)
    now = 1_000
    limiter.consume('a', 2)
    expect(() => limiter.consume('a')).toThrow(
      expect.objectContaining({
        headers: expect.objectContaining({
          'retry-after': '9',
          'ratelimit-policy': '5;w=10',
        }) as object,
      }),
    )
    now = 10_000
    limiter.consume('a', 3)
  })
})
