import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase } from '../src/database.ts'
import { HostReports, MAX_INCIDENTS_PER_HOST } from '../src/host-reports.ts'

let directory: string
let database: ReturnType<typeof openDatabase>
let now = 0

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'relay-reports-'))
  database = openDatabase(directory)
  now = 1_000
})

afterEach(() => {
  database.close()
  rmSync(directory, { recursive: true })
})

function open(): HostReports {
  return new HostReports(database, {
    now: () => now,
    onError: (error) => {
      throw error
    },
  })
}

describe('HostReports', () => {
  it('counts by outcome and reason and keeps the incidents, newest first', () => {
    using reports = open()
    reports.count('a.test', 'accepted')
    reports.count('a.test', 'accepted')
    reports.incident('a.test', {
      outcome: 'rejected',
      reason: 'bad-signature',
      did: 'did:plc:x',
      seq: 4,
    })
    now = 2_000
    reports.incident('a.test', {
      outcome: 'rejected',
      reason: 'bad-signature',
      rev: '3k',
      detail: 'no',
    })
    reports.incident('b.test', { outcome: 'connection', reason: 'unreachable' })
    expect(reports.counts('a.test')).toEqual([
      { outcome: 'accepted', reason: '', count: 2, lastAtMs: 1_000 },
      { outcome: 'rejected', reason: 'bad-signature', count: 2, lastAtMs: 2_000 },
    ])
    expect(reports.incidents('a.test', 10)).toEqual([
      { atMs: 2_000, outcome: 'rejected', reason: 'bad-signature', rev: '3k', detail: 'no' },
      { atMs: 1_000, outcome: 'rejected', reason: 'bad-signature', did: 'did:plc:x', seq: 4 },
    ])
    expect(reports.totals().reduce((sum, { count }) => sum + count, 0)).toBe(5)
  })

  it('keeps counts across a restart and adds to them', () => {
    {
      using reports = open()
      reports.count('a.test', 'accepted')
    }
    using reports = open()
    reports.count('a.test', 'accepted')
    expect(reports.counts('a.test')).toMatchObject([{ count: 2 }])
  })

  it('forgets old incidents, not their count, under a flood', () => {
    using reports = open()
    for (let i = 0; i < 10_000; i++) {
      reports.incident('a.test', { outcome: 'rejected', reason: 'invalid-car', seq: i })
      if (i % 777 === 0) reports.flush()
    }
    expect(reports.counts('a.test')).toMatchObject([{ count: 10_000 }])
    const incidents = reports.incidents('a.test', 1_000)
    expect(incidents).toHaveLength(MAX_INCIDENTS_PER_HOST)
    expect(incidents[0]?.seq).toBe(9_999)
    expect(incidents.at(-1)?.seq).toBe(10_000 - MAX_INCIDENTS_PER_HOST)
  })

  it('answers without writing: who asks often must not keep the disk busy', () => {
    using reports = open()
    reports.count('a.test', 'accepted')
    reports.flush()
    reports.count('a.test', 'accepted')
    reports.incident('a.test', { outcome: 'rejected', reason: 'x', seq: 1 })
    const before = database.prepare('SELECT total_changes() AS n').get()?.['n']
    expect(reports.counts('a.test')).toMatchObject([
      { outcome: 'accepted', count: 2 },
      { outcome: 'rejected', count: 1 },
    ])
    expect(reports.incidents('a.test', 5)).toMatchObject([{ seq: 1 }])
    expect(reports.totals()).toMatchObject([{ count: 2 }, { count: 1 }])
    expect(database.prepare('SELECT total_changes() AS n').get()?.['n']).toBe(before)
  })

  it('cuts what a host can make it store', () => {
    using reports = open()
    reports.incident('a.test', { outcome: 'rejected', reason: 'x', detail: 'y'.repeat(100_000) })
    expect(reports.incidents('a.test', 1)[0]?.detail?.length).toBeLessThan(1_000)
  })
})
