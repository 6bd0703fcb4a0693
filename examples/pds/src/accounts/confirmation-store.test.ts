import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { CONFIRMATION_LIFETIME_MS, openConfirmationStore } from './confirmation-store.ts'

const DID = 'did:plc:alice'

describe('confirmation codes', () => {
  it('are good for their account and purpose, for a while, in either case', () => {
    using database = new DatabaseSync(':memory:')
    const store = openConfirmationStore(database)
    const code = store.create(DID, 'delete-account', 1_000)
    expect(code).toMatch(/^[A-Z2-7]{5}-[A-Z2-7]{5}$/)
    expect(store.check(DID, 'delete-account', code, 2_000)).toBe('good')
    expect(store.check(DID, 'delete-account', code.toLowerCase(), 2_000)).toBe('good')
    expect(store.check(DID, 'delete-account', code, 1_000 + CONFIRMATION_LIFETIME_MS)).toBe(
      'expired',
    )
    expect(store.check(DID, 'plc-operation', code, 2_000)).toBe('wrong')
    expect(store.check('did:plc:bob', 'delete-account', code, 2_000)).toBe('wrong')
    for (const wrong of ['', code.slice(1), `${code}A`, 'ß'.repeat(11)]) {
      expect(store.check(DID, 'delete-account', wrong, 2_000)).toBe('wrong')
    }
  })

  it('are replaced, removed and swept', () => {
    using database = new DatabaseSync(':memory:')
    const store = openConfirmationStore(database)
    const old = store.create(DID, 'delete-account', 1_000)
    const code = store.create(DID, 'delete-account', 1_000)
    expect(store.check(DID, 'delete-account', old, 1_000)).toBe('wrong')
    store.remove(DID, 'plc-operation')
    expect(store.check(DID, 'delete-account', code, 1_000)).toBe('good')
    store.remove(DID)
    expect(store.check(DID, 'delete-account', code, 1_000)).toBe('wrong')
    expect(store.check(DID, 'delete-account', '', 1_000)).toBe('wrong')
    store.create(DID, 'plc-operation', 1_000)
    expect(store.sweep(1_000)).toBe(0)
    expect(store.sweep(1_000 + CONFIRMATION_LIFETIME_MS)).toBe(1)
  })
})
