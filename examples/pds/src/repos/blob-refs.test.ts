import { cidForRaw } from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import { findBlobReferences } from './blob-refs.ts'

const ref = cidForRaw(new Uint8Array([1, 2, 3]))
const blob = { $type: 'blob', ref, mimeType: 'image/png', size: 3 }

describe('findBlobReferences', () => {
  it('finds references at any depth', () => {
    const record = { $type: 'x', a: blob, b: [{ c: { d: [blob] } }], e: ref, f: new Uint8Array(2) }
    const found = { cid: ref.toString(), mimeType: 'image/png', size: 3 }
    expect(findBlobReferences(record)).toEqual([found, found])
  })

  it.each([
    ['a ref that is no link', { ...blob, ref: 'bafkrei' }],
    ['no ref', { $type: 'blob', mimeType: 'image/png', size: 3 }],
    ['no type', { ...blob, mimeType: '' }],
    ['a size that is text', { ...blob, size: '3' }],
    ['a negative size', { ...blob, size: -1 }],
    ['the shape of before 2023', { cid: ref.toString(), mimeType: 'image/png' }],
  ])('refuses %s', (_name, value) => {
    expect(() => findBlobReferences({ $type: 'x', value })).toThrow(
      expect.objectContaining({ status: 400, error: 'InvalidRequest' }),
    )
  })
})
