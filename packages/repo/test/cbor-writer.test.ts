import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, it } from 'vitest'
import { decodeCbor, encodeCbor, InvalidCborError, LimitExceededError } from '../src/index.ts'

const LIMIT = 5_000_000
const edges = [23, 24, 255, 256, 65_535, 65_536]

describe('encodeCbor at the edges of its heads', () => {
  it('agrees with @ipld/dag-cbor on integers around every length of head', () => {
    const values = [...edges, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER - 1]
    for (const edge of values) {
      for (const value of [edge - 1, edge, edge + 1, -edge - 1, -edge, -edge + 1]) {
        expect(encodeCbor(value)).toEqual(dagCbor.encode(value))
      }
    }
  })

  // ASCII has as many bytes as units; the others move the text when its head turns out longer.
  it.each(['a', 'é', '\u20ac', '\u{1f600}', '\ufeff'])('and on texts of %j', (unit) => {
    for (const edge of [...edges, 40, 41, 12, 13]) {
      for (const count of [edge - 1, edge, edge + 1]) {
        for (const text of [unit.repeat(count), `x${unit.repeat(count)}y`]) {
          const encoded = encodeCbor(text)
          expect(Buffer.compare(encoded, dagCbor.encode(text))).toBe(0)
          expect(decodeCbor(encoded)).toBe(text)
        }
      }
    }
  })

  it('and on bytes, arrays and maps', () => {
    for (const edge of edges) {
      const array = Array.from({ length: edge }, (_, i) => i)
      const map = Object.fromEntries(array.map((i) => [`k${String(i)}`, i]))
      for (const value of [new Uint8Array(edge), array, map]) {
        expect(Buffer.compare(encodeCbor(value), dagCbor.encode(value))).toBe(0)
      }
    }
  })
})

describe('encodings one after the other', () => {
  it('keep their bytes', () => {
    const values = [['a'.repeat(100)], 1, { b: new Uint8Array(100_000).fill(7) }, 'c', [2, 3]]
    const encoded = values.map((value) => encodeCbor(value))
    values.forEach((value, i) => {
      expect(Buffer.compare(encoded[i] ?? new Uint8Array(), dagCbor.encode(value))).toBe(0)
    })
  })

  it('and those made while another is under way', () => {
    const inner: Uint8Array[] = []
    const nested = {
      a: 'before',
      get b(): string {
        inner.push(encodeCbor(['x'.repeat(2_000)]), encodeCbor('y'))
        return 'after'
      },
    }
    expect(encodeCbor(nested)).toEqual(dagCbor.encode({ a: 'before', b: 'after' }))
    expect(inner).toEqual([dagCbor.encode(['x'.repeat(2_000)]), dagCbor.encode('y')])
  })

  it('and those after one that failed half way', () => {
    expect(() => encodeCbor(['z'.repeat(500), 1.5])).toThrow(InvalidCborError)
    expect(encodeCbor('a')).toEqual(dagCbor.encode('a'))
  })
})

describe('encodeCbor, given something hostile', () => {
  it('takes an encoding of exactly the bound, and nothing longer', () => {
    const head = 5
    expect(encodeCbor(new Uint8Array(LIMIT - head))).toHaveLength(LIMIT)
    expect(encodeCbor('x'.repeat(LIMIT - head))).toHaveLength(LIMIT)
    expect(() => encodeCbor(new Uint8Array(LIMIT - head + 1))).toThrow(LimitExceededError)
    expect(() => encodeCbor('x'.repeat(LIMIT - head + 1))).toThrow(LimitExceededError)
  })

  it('gives up early on few bytes shared many times', () => {
    let value: unknown = 'x'.repeat(1000)
    for (let i = 0; i < 30; i++) value = [value, value]
    expect(() => encodeCbor(value)).toThrow(LimitExceededError)
    expect(() => encodeCbor('x'.repeat(100_000_000))).toThrow(LimitExceededError)
  })

  it('is not confused by a value that changes while it is read', () => {
    const growing: unknown[] = []
    const item = {
      get a() {
        growing.push(1)
        return 1
      },
    }
    growing.push(item)
    expect(decodeCbor(encodeCbor(growing))).toEqual([{ a: 1 }])
    const shrinking = {
      get a() {
        Reflect.deleteProperty(this, 'b')
        return 1
      },
      b: 2,
    }
    expect(() => encodeCbor(shrinking)).toThrow(InvalidCborError)
    const nested = {
      get a() {
        return encodeCbor({ inner: 'x'.repeat(100) }).length
      },
    }
    expect(decodeCbor(encodeCbor(nested))).toEqual({ a: 109 })
  })

  it('wraps what a getter throws', () => {
    const cause = new Error('no')
    const value = {
      get a(): never {
        throw cause
      },
    }
    expect(() => encodeCbor(value)).toThrow(expect.objectContaining({ cause }))
  })
})
