import { describe, expect, it } from 'vitest'
import { ExportPacer } from './export-pacer.ts'

describe('ExportPacer', () => {
  it('lets the first go at once and each further one a second later', () => {
    let now = 1_000_000
    const pacer = new ExportPacer({ now: () => now })
    expect([1, 2, 3].map(() => pacer.take('did:plc:a'))).toEqual([0, 1, 2])
    expect(pacer.take('did:plc:b')).toBe(0)
    now += 1_500
    expect(pacer.take('did:plc:a')).toBe(2)
    now += 60_000
    expect(pacer.take('did:plc:a')).toBe(0)
  })

  it('asks nobody to wait longer than a minute, and spreads a thousand over it', () => {
    const pacer = new ExportPacer({ now: () => 0 })
    const waits = Array.from({ length: 1_000 }, () => pacer.take('did:plc:a'))
    expect(Math.max(...waits)).toBe(60)
    const inOneSecond = Map.groupBy(waits, (seconds) => seconds)
    expect(inOneSecond.size).toBe(61)
    expect(Math.max(...[...inOneSecond.values()].map(({ length }) => length))).toBe(17)
  })

  it('remembers a bounded number of repositories', () => {
    const pacer = new ExportPacer({ now: () => 0 })
    pacer.take('did:plc:first')
    for (let i = 0; i < 10_000; i++) pacer.take(`did:plc:${String(i)}`)
    expect(pacer.take('did:plc:first')).toBe(0)
    expect(pacer.take('did:plc:9999')).toBe(1)
  })
})
