import { describe, expect, it } from 'vitest'
import {
  IdentityError,
  InvalidSyntaxError,
  UnsupportedDidMethodError,
  parseDid,
  parseHandle,
} from '../src/index.ts'
import { fixtureLines, haveFixtures } from './fixtures.ts'

describe.skipIf(!haveFixtures)('interop: DID and handle syntax', () => {
  it('reads every valid DID, or names the method or method rule it breaks', () => {
    const lines = fixtureLines('interop/syntax/did_syntax_valid.txt')
    expect(lines.length).toBe(24)
    let read = 0
    for (const did of lines) {
      try {
        expect(parseDid(did, { dev: true }).did).toBe(did)
        read++
      } catch (error) {
        const isMethodRule = error instanceof InvalidSyntaxError && /^did:(plc|web):/.test(did)
        expect(error instanceof UnsupportedDidMethodError || isMethodRule, did).toBe(true)
      }
    }
    expect(read).toBeGreaterThanOrEqual(2)
  })

  it('refuses every invalid DID as bad syntax', () => {
    const lines = fixtureLines('interop/syntax/did_syntax_invalid.txt')
    expect(lines.length).toBe(18)
    for (const did of lines) expect(() => parseDid(did), did).toThrow(InvalidSyntaxError)
  })

  it('reads every valid handle in development, but the reserved ones', () => {
    const lines = fixtureLines('interop/syntax/handle_syntax_valid.txt')
    expect(lines.length).toBe(71)
    let reserved = 0
    for (const handle of lines) {
      try {
        expect(parseHandle(handle, { dev: true })).toBe(handle.toLowerCase())
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidSyntaxError)
        expect((error as InvalidSyntaxError).reason, handle).toMatch(/reserved|placeholder/)
        reserved++
      }
    }
    expect(reserved).toBeLessThan(lines.length / 4)
  })

  it('refuses every invalid handle', () => {
    const lines = fixtureLines('interop/syntax/handle_syntax_invalid.txt')
    expect(lines.length).toBe(48)
    for (const handle of lines)
      expect(() => parseHandle(handle, { dev: true }), handle).toThrow(IdentityError)
  })
})
