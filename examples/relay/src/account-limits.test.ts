import type { HostRecord } from '@skywright/firehose/relay'
import { describe, expect, it } from 'vitest'
import { earnedAccountLimit, MAX_EARNED_ACCOUNT_LIMIT } from './account-limits.ts'
import type { OutcomeCount } from './host-reports.ts'

const DAY_MS = 86_400_000

function host(change: Partial<HostRecord> = {}): HostRecord {
  return {
    hostname: 'a.example.com',
    url: 'https://a.example.com',
    status: 'active',
    cursor: 1,
    enforcement: 'enforce',
    accountCount: 90,
    accountLimit: 100,
    addedAtMs: 0,
    lastEventAtMs: 0,
    ...change,
  }
}

function counts(accepted: number, rejected: number, reason = 'bad-signature'): OutcomeCount[] {
  return [
    { outcome: 'accepted', reason: '', count: accepted, lastAtMs: 0 },
    { outcome: 'rejected', reason, count: rejected, lastAtMs: 0 },
    { outcome: 'connection', reason: 'unreachable', count: 1_000, lastAtMs: 0 },
  ]
}

describe('earnedAccountLimit', () => {
  it('doubles with every full day of a clean record', () => {
    const at = (now: number): number | undefined =>
      earnedAccountLimit(host(), counts(1_000, 0), { base: 100, now })
    expect(at(DAY_MS - 1)).toBeUndefined()
    expect(at(DAY_MS)).toBe(200)
    expect(at(7.5 * DAY_MS)).toBe(12_800)
    expect(at(365 * DAY_MS)).toBe(MAX_EARNED_ACCOUNT_LIMIT)
  })

  it('stops for a host that sends invalid events, whatever the mode', () => {
    const options = { base: 100, now: 7 * DAY_MS }
    expect(earnedAccountLimit(host(), counts(1_000, 20), options)).toBeUndefined()
    expect(earnedAccountLimit(host(), counts(1_000, 5), options)).toBe(12_800)
    expect(earnedAccountLimit(host(), counts(1_000, 500, 'stale-rev'), options)).toBe(12_800)
  })

  it('gives nothing to a silent or banned host and takes nothing away', () => {
    const options = { base: 100, now: 7 * DAY_MS }
    expect(earnedAccountLimit(host(), [], options)).toBeUndefined()
    expect(earnedAccountLimit(host({ status: 'banned' }), counts(9, 0), options)).toBeUndefined()
    expect(
      earnedAccountLimit(host({ accountLimit: 1_000_000 }), counts(9, 0), options),
    ).toBeUndefined()
  })
})
