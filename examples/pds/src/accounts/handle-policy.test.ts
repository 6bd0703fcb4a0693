import { describe, expect, it } from 'vitest'
import { checkLocalHandle } from './handle-policy.ts'

const DOMAINS = ['.example.com', '.test']

describe('checkLocalHandle', () => {
  it.each([
    ['alice.test', 'alice.test'],
    ['Alice.Example.COM', 'alice.example.com'],
    ['a-b.test', 'a-b.test'],
    ['x23456789012345678.test', 'x23456789012345678.test'],
  ])('accepts %s', (input, handle) => {
    expect(checkLocalHandle(input, DOMAINS)).toBe(handle)
  })

  it.each([
    ['alice.example.org', 'UnsupportedDomain'],
    ['alice', 'UnsupportedDomain'],
    ['al.test', 'InvalidHandle'],
    ['.test', 'InvalidHandle'],
    ['alice.smith.test', 'InvalidHandle'],
    ['-alice.test', 'InvalidHandle'],
    ['alice-.test', 'InvalidHandle'],
    ['al_ice.test', 'InvalidHandle'],
    ['älice.test', 'InvalidHandle'],
    ['x234567890123456789.test', 'InvalidHandle'],
    ['admin.test', 'HandleNotAvailable'],
    ['ADMIN.test', 'HandleNotAvailable'],
  ])('refuses %s as %s', (input, error) => {
    expect(() => checkLocalHandle(input, DOMAINS)).toThrow(
      expect.objectContaining({ error, status: 400 }),
    )
  })
})
