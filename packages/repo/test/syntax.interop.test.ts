import { isValidNsid, isValidRecordKey, isValidTid } from '@atproto/syntax'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import {
  createTidClock,
  formatPath,
  formatTid,
  InvalidSyntaxError,
  isPath,
  isTid,
  parsePath,
  parseTid,
} from '../src/index.ts'
import { hasFixtures, readTextFixture } from './fixtures.ts'

function lines(name: string): readonly string[] {
  return readTextFixture(`interop/syntax/${name}.txt`)
    .split('\n')
    .filter((line) => line.length > 0 && !line.startsWith('#'))
}

/** A collection is normalised when its authority is in lower case; the name keeps its case. */
function isNormal(nsid: string): boolean {
  const authority = nsid.slice(0, nsid.lastIndexOf('.'))
  return authority === authority.toLowerCase()
}

describe.skipIf(!hasFixtures)('the shared syntax vectors', () => {
  it('decide about collections', () => {
    const valid = lines('nsid_syntax_valid')
    const invalid = lines('nsid_syntax_invalid')
    expect([valid.length, invalid.length]).toEqual([25, 27])
    for (const nsid of valid) expect([nsid, isPath(`${nsid}/self`)]).toEqual([nsid, isNormal(nsid)])
    for (const nsid of invalid) expect([nsid, isPath(`${nsid}/self`)]).toEqual([nsid, false])
  })

  it('decide about record keys', () => {
    const valid = lines('recordkey_syntax_valid')
    const invalid = lines('recordkey_syntax_invalid')
    expect([valid.length, invalid.length]).toEqual([16, 11])
    for (const rkey of valid)
      expect([rkey, isPath(`com.example.note/${rkey}`)]).toEqual([rkey, true])
    for (const rkey of invalid)
      expect([rkey, isPath(`com.example.note/${rkey}`)]).toEqual([rkey, false])
  })

  it('decide about TIDs', () => {
    const valid = lines('tid_syntax_valid')
    const invalid = lines('tid_syntax_invalid')
    expect([valid.length, invalid.length]).toEqual([4, 9])
    for (const tid of valid) {
      expect([tid, isTid(tid)]).toEqual([tid, true])
      const parts = parseTid(tid)
      if (parts.timestampMicros < 2n ** 53n) expect(formatTid(parts)).toBe(tid)
    }
    for (const tid of invalid) {
      expect([tid, isTid(tid)]).toEqual([tid, false])
      expect(() => parseTid(tid)).toThrow(InvalidSyntaxError)
    }
  })
})

describe('isPath', () => {
  const part = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.string({
        unit: fc.constantFrom(...'azbq09'.split('')),
        minLength: 1,
        maxLength: 3,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.string({ unit: fc.constantFrom(...'aZ09-._~:/@ é'.split('')), maxLength: 5 }),
    },
  )

  it('agrees with @atproto/syntax on whatever text', () => {
    let paths = 0
    fc.assert(
      fc.property(part, part, part, part, (a, b, c, rkey) => {
        const nsid = `${a}.${b}.${c}`
        const expected =
          !nsid.includes('/') && isValidNsid(nsid) && isNormal(nsid) && isValidRecordKey(rkey)
        if (expected) paths++
        expect(isPath(`${nsid}/${rkey}`)).toBe(expected)
      }),
      { numRuns: 20_000 },
    )
    expect(paths).toBeGreaterThan(500)
  })

  it('agrees with @atproto/syntax at the limits of length', () => {
    const label = (length: number) => 'a'.repeat(length)
    const authorities = [
      `${label(63)}.${label(63)}.${label(63)}.${label(61)}`,
      `${label(63)}.${label(63)}.${label(63)}.${label(62)}`,
      `${label(64)}.b`,
    ]
    for (const authority of authorities) {
      for (const name of [label(1), label(63), label(64)]) {
        const nsid = `${authority}.${name}`
        expect([nsid, isPath(`${nsid}/x`)]).toEqual([nsid, isValidNsid(nsid)])
      }
    }
    for (const length of [0, 1, 512, 513])
      expect(isPath(`a.b.c/${label(length)}`)).toBe(isValidRecordKey(label(length)))
  })

  it('has a parser and a formatter that are each other’s inverse', () => {
    expect(parsePath('app.bsky.feed.post/3k')).toEqual({
      collection: 'app.bsky.feed.post',
      rkey: '3k',
    })
    expect(formatPath('app.bsky.feed.post', 'a:b')).toBe('app.bsky.feed.post/a:b')
    for (const text of [
      '',
      '/',
      'a.b.c',
      'a.b.c/',
      '/a.b.c/x',
      'a.b.c/x/y',
      'a.b.c/.',
      'a.b.c/..',
      'A.b.c/x',
    ]) {
      expect(() => parsePath(text)).toThrow(InvalidSyntaxError)
    }
    expect(() => formatPath('a.b.c/x', 'y')).toThrow(InvalidSyntaxError)
    expect(() => formatPath('a.b.c', 'x/y')).toThrow(InvalidSyntaxError)
  })
})

describe('createTidClock', () => {
  it('rises always, whatever the wall clock does', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 10_000 }), { minLength: 2, maxLength: 50 }),
        (times) => {
          let at = 0
          const clock = createTidClock({
            now: () => 1_700_000_000_000 + times[at++ % times.length]!,
            clockId: 7,
          })
          const tids = times.map(() => clock.next())
          expect(tids).toEqual([...new Set(tids)].toSorted())
          for (const tid of tids) expect(isValidTid(tid)).toBe(true)
        },
      ),
    )
  })

  it('gives a rev above any given one, and goes back to the wall clock after one of the future', () => {
    const now = 1_700_000_000_000
    const clock = createTidClock({ now: () => now, clockId: 3 })
    const past = formatTid({ timestampMicros: 5n, clockId: 1023 })
    expect(parseTid(clock.next(past)).timestampMicros).toBe(BigInt(now) * 1000n)
    const future = formatTid({ timestampMicros: BigInt(now + 1e9) * 1000n, clockId: 1023 })
    expect(clock.next(future) > future).toBe(true)
    expect(parseTid(clock.next(future)).timestampMicros).toBe(parseTid(future).timestampMicros + 1n)
    expect(parseTid(clock.next()).timestampMicros).toBe(BigInt(now) * 1000n)
    expect(() => clock.next('bzzzzzzzzzzzz')).toThrow(RangeError)
    expect(() => clock.next('jzzzzzzzzzzzz')).toThrow(RangeError)
  })

  it('refuses parts that are out of range', () => {
    expect(() => formatTid({ timestampMicros: -1n, clockId: 0 })).toThrow(RangeError)
    expect(() => formatTid({ timestampMicros: 2n ** 53n, clockId: 0 })).toThrow(RangeError)
    expect(() => formatTid({ timestampMicros: 0n, clockId: 1024 })).toThrow(RangeError)
    expect(formatTid({ timestampMicros: 0n, clockId: 0 })).toBe('2222222222222')
    expect(formatTid({ timestampMicros: 2n ** 53n - 1n, clockId: 1023 })).toBe('bzzzzzzzzzzzz')
  })
})
