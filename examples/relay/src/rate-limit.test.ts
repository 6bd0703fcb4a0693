import { describe, expect, it } from 'vitest'
import { callerOf, RateLimit } from './rate-limit.ts'

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

describe('callerOf', () => {
  it('takes everybody in one /64 for one caller: that much has anybody with IPv6', () => {
    expect(callerOf('2001:db8:1:2:3:4:5:6')).toBe(callerOf('2001:DB8:1:2::9'))
    expect(callerOf('2001:db8:1:2::')).not.toBe(callerOf('2001:db8:1:3::'))
    expect(callerOf('2001:db8::1')).toBe(callerOf('2001:db8:0:0:1::'))
    expect(callerOf('::1')).not.toBe(callerOf('2001:db8::1'))
    expect(callerOf('fe80::1%eth0')).toBe(callerOf('fe80::2%eth1'))
  })

  it('tells IPv4 addresses apart, also those in IPv6', () => {
    expect(callerOf('192.0.2.1')).not.toBe(callerOf('192.0.2.2'))
    expect(callerOf('::ffff:192.0.2.1')).toBe(callerOf('192.0.2.1'))
    expect(callerOf(undefined)).toBe('unknown')
  })
})
