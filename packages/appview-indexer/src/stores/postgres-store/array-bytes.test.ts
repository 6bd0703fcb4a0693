import { expect, it } from 'vitest'

import { arrayBytes } from './array-bytes.ts'

const hex = (...parts: Parameters<typeof arrayBytes>): string =>
  arrayBytes(...parts).toString('hex')

it('writes arrays of numbers, texts, bytes and nulls in the binary form of the protocol', () => {
  const head = (nulls: number, oid: string, count: string): string =>
    `000000010000000${nulls}${oid}${count}00000001`
  expect(hex('int', [1, -1, null])).toBe(
    `${head(1, '00000017', '00000003')}000000040000000100000004ffffffffffffffff`,
  )
  expect(hex('bigint', [2 ** 40 + 5, -2])).toBe(
    `${head(0, '00000014', '00000002')}00000008000001000000000500000008fffffffffffffffe`,
  )
  expect(hex('text', ['é', '', undefined])).toBe(
    `${head(1, '00000019', '00000003')}00000002c3a900000000ffffffff`,
  )
  expect(hex('bytea', [Uint8Array.of(0, 255)])).toBe(
    `${head(0, '00000011', '00000001')}0000000200ff`,
  )
  expect(hex('text', [])).toBe('000000000000000000000019')
})

it('refuses what is not of the type', () => {
  expect(() => arrayBytes('bigint', ['1'])).toThrow(TypeError)
  expect(() => arrayBytes('bigint', [1.5])).toThrow(TypeError)
  expect(() => arrayBytes('int', [2 ** 31])).toThrow(TypeError)
  expect(() => arrayBytes('text', [1])).toThrow(TypeError)
  expect(() => arrayBytes('bytea', ['a'])).toThrow(TypeError)
})
