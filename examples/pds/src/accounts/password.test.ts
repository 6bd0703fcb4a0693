import { describe, expect, it } from 'vitest'
import { hashPassword, verifyPassword } from './password.ts'

describe('verifyPassword', () => {
  it('accepts the password that was hashed and no other', async () => {
    const hash = await hashPassword('correct horse')
    expect(hash).toMatch(/^scrypt\$14\$8\$5\$[0-9a-f]{32}\$[0-9a-f]{64}$/)
    expect(await verifyPassword('correct horse', hash)).toBe(true)
    expect(await verifyPassword('correct horsf', hash)).toBe(false)
  })

  it('does the same work for an unknown account and refuses', async () => {
    expect(await verifyPassword('anything', undefined)).toBe(false)
  })

  it('salts', async () => {
    expect(await hashPassword('same')).not.toBe(await hashPassword('same'))
  })
})
