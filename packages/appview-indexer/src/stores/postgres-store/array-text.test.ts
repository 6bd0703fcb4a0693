import { expect, it } from 'vitest'

import { arrayText } from './array-text.ts'

it('writes numbers, texts, bytes and nulls as Postgres reads arrays', () => {
  expect(arrayText([])).toBe('{}')
  expect(arrayText([1, -2.5, null, undefined])).toBe('{1,-2.5,NULL,NULL}')
  expect(arrayText(['a', '', 'NULL', '{x,y}', '"', '\\', ' \n'])).toBe(
    '{"a","","NULL","{x,y}","\\"","\\\\"," \n"}',
  )
  expect(arrayText([Uint8Array.of(0, 255)])).toBe('{"\\\\x00ff"}')
  expect(() => arrayText([[1]])).toThrow(TypeError)
})
