import { cidForCbor, encodeCbor, formatTid } from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import type { CommitEvent, SyncEvent } from '../src/event.ts'
import { checkEvent, isDid } from '../src/verify/check-event.ts'
import { createFutureRevCheck } from '../src/verify/rev-clock.ts'

const cid = cidForCbor(encodeCbor({}))
const nowMs = Date.UTC(2026, 10, 1)
const revAt = (ms: number) => formatTid({ timestampMicros: BigInt(ms) * 1000n, clockId: 0 })

const commit: CommitEvent = {
  type: 'commit',
  seq: 1,
  did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
  commit: cid,
  rev: revAt(nowMs),
  since: revAt(nowMs - 1_000),
  prevData: cid,
  ops: [{ action: 'create', path: 'com.example.note/a', cid }],
  blocks: new Uint8Array(100),
  time: '2026-11-01T00:00:00.000Z',
}
const { did, rev, time } = commit
const sync: SyncEvent = { type: 'sync', seq: 1, did, rev, blocks: new Uint8Array(100), time }
const op = commit.ops[0]!
const many = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ ...op, path: `com.example.note/${String(i)}` }))

describe('checkEvent', () => {
  it('has nothing against an honest event, also at every bound', () => {
    const check = (event: CommitEvent | SyncEvent) =>
      checkEvent(
        event,
        createFutureRevCheck(() => nowMs),
      )
    expect(check(commit)).toBeUndefined()
    expect(check(sync)).toBeUndefined()
    expect(check({ ...commit, blocks: new Uint8Array(2_000_000) })).toBeUndefined()
    expect(check({ ...sync, blocks: new Uint8Array(10_000) })).toBeUndefined()
    expect(check({ ...commit, ops: many(200) })).toBeUndefined()
    expect(check({ ...commit, rev: revAt(nowMs + 300_000) })).toBeUndefined()
    const { prevData: _, ...first } = commit
    expect(check({ ...first, since: null })).toBeUndefined()
    expect(check({ ...commit, ops: [] })).toBeUndefined()
    const removed = { action: 'delete', path: 'com.example.note/b', cid: null, prev: cid } as const
    const changed = { action: 'update', path: 'com.example.note/c', cid, prev: cid } as const
    expect(check({ ...commit, ops: [op, removed, changed] })).toBeUndefined()
    expect(check({ ...commit, ops: [removed] })).toBeUndefined()
    expect(check({ ...commit, ops: [changed] })).toBeUndefined()
  })

  it.each<[string, CommitEvent | SyncEvent]>([
    ['too-large', { ...commit, blocks: new Uint8Array(2_000_001) }],
    ['too-large', { ...sync, blocks: new Uint8Array(10_001) }],
    ['invalid-car', { ...commit, blocks: new Uint8Array() }],
    ['invalid-did', { ...commit, did: 'did:plc:' }],
    ['invalid-did', { ...sync, did: `did:web:${'a'.repeat(2_041)}` }],
    ['invalid-rev', { ...commit, rev: 'zzzzzzzzzzzzz' }],
    ['invalid-rev', { ...commit, since: '' }],
    ['invalid-rev', { ...commit, since: commit.rev }],
    ['invalid-rev', { ...commit, since: revAt(nowMs + 1) }],
    ['future-rev', { ...commit, rev: revAt(nowMs + 300_001) }],
    ['future-rev', { ...sync, rev: revAt(nowMs + 300_001) }],
    ['missing-prev-data', { ...commit, prevData: undefined } as unknown as CommitEvent],
    ['too-many-ops', { ...commit, ops: many(201) }],
    ['duplicate-path', { ...commit, ops: [op, op] }],
    ['invalid-op', { ...commit, ops: [{ ...op, cid: null }] }],
    ['invalid-op', { ...commit, ops: [{ ...op, prev: cid }] }],
    ['invalid-op', { ...commit, ops: [{ ...op, action: 'update' }] }],
    ['invalid-op', { ...commit, ops: [{ ...op, action: 'update', cid: null, prev: cid }] }],
    ['invalid-op', { ...commit, ops: [{ ...op, action: 'delete', prev: cid }] }],
    ['invalid-op', { ...commit, ops: [{ ...op, action: 'delete', cid: null }] }],
    ['invalid-op', { ...commit, ops: [...many(2), { ...op, cid: null }] }],
  ])('says %s', (reason, event) => {
    const isFuture = createFutureRevCheck(() => nowMs)
    expect(checkEvent(event, isFuture)).toBe(reason)
  })
})

describe('isDid', () => {
  it.each([
    'did:plc:abc',
    'did:web:example.com',
    'did:web:localhost%3A3000',
    'did:method:a:b-c_d.e',
  ])('accepts %s', (text) => expect(isDid(text)).toBe(true))
  it.each([
    '',
    'did',
    'did:plc',
    'did:PLC:abc',
    'did:plc:',
    'did:plc:a:',
    'did:plc:a b',
    'Did:plc:a',
  ])('refuses %j', (text) => expect(isDid(text)).toBe(false))
})

describe('createFutureRevCheck', () => {
  it('goes with the clock, also when it is set back', () => {
    let now = nowMs
    const isFuture = createFutureRevCheck(() => now)
    const later = revAt(nowMs + 600_000)
    expect(isFuture(later)).toBe(true)
    now += 400_000
    expect(isFuture(later)).toBe(false)
    now -= 400_000
    expect(isFuture(later)).toBe(true)
  })
})
