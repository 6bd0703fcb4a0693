import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import {
  openSessionStore,
  REFRESH_GRACE_MS,
  REFRESH_LIFETIME_MS,
  type SessionStore,
} from './session-store.ts'

const DID = 'did:plc:alice'
const NOW = 1_000_000

function open(): SessionStore {
  return openSessionStore(new DatabaseSync(':memory:'))
}

describe('SessionStore', () => {
  it('gives the same successor however often a token is used within the grace period', () => {
    const sessions = open()
    const { id } = sessions.start(DID, NOW)
    const first = sessions.rotate(id, NOW + 1_000)
    const second = sessions.rotate(id, NOW + 1_000 + REFRESH_GRACE_MS - 1)
    expect(first).toBeDefined()
    expect(second).toEqual(first)
    expect(sessions.rotate(id, NOW + 1_000 + REFRESH_GRACE_MS)).toBeUndefined()
  })

  it('continues along the chain for as long as somebody refreshes', () => {
    const sessions = open()
    let { id } = sessions.start(DID, NOW)
    let now = NOW
    for (let i = 0; i < 5; i++) {
      now += REFRESH_LIFETIME_MS - 1
      const next = sessions.rotate(id, now)
      expect(next?.expiresAt).toBe(now + REFRESH_LIFETIME_MS)
      expect(next?.id).not.toBe(id)
      id = next?.id ?? ''
    }
  })

  it('refuses tokens that are expired or unknown', () => {
    const sessions = open()
    const { id } = sessions.start(DID, NOW)
    expect(sessions.rotate(id, NOW + REFRESH_LIFETIME_MS)).toBeUndefined()
    expect(sessions.rotate('unknown', NOW)).toBeUndefined()
  })

  it('revokes a session with its successors and no other', () => {
    const sessions = open()
    const one = sessions.start(DID, NOW)
    const other = sessions.start(DID, NOW)
    const next = sessions.rotate(one.id, NOW)
    sessions.revoke(one.id)
    expect(sessions.rotate(one.id, NOW)).toBeUndefined()
    expect(sessions.rotate(next?.id ?? '', NOW)).toBeUndefined()
    expect(sessions.rotate(other.id, NOW)).toBeDefined()
  })

  it('revokes every session of an account', () => {
    const sessions = open()
    const mine = sessions.start(DID, NOW)
    const hers = sessions.start('did:plc:bob', NOW)
    sessions.revokeAll(DID)
    expect(sessions.rotate(mine.id, NOW)).toBeUndefined()
    expect(sessions.rotate(hers.id, NOW)).toBeDefined()
  })

  it('sweeps what expired', () => {
    const sessions = open()
    sessions.start(DID, NOW)
    const fresh = sessions.start(DID, NOW + 1)
    expect(sessions.sweep(NOW + REFRESH_LIFETIME_MS)).toBe(1)
    expect(sessions.rotate(fresh.id, NOW + 2)).toBeDefined()
  })
})
