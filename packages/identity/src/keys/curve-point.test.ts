import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NOBLE_CURVES } from './backend-noble.ts'
import { isCompressedPoint, isUncompressedPoint } from './curve-point.ts'
import type { Curve } from './key.ts'

const curves: readonly Curve[] = ['k256', 'p256']

function nobleSays(curve: Curve, bytes: Uint8Array): boolean {
  try {
    NOBLE_CURVES[curve].Point.fromBytes(bytes).assertValidity()
    return true
  } catch {
    return false
  }
}

function point(first: number, x: bigint): Uint8Array {
  const hex = x.toString(16).padStart(64, '0')
  return Uint8Array.from([first, ...Buffer.from(hex, 'hex')])
}

describe.each(curves)('points of %s', (curve) => {
  const { Fp } = NOBLE_CURVES[curve].Point
  const p = Fp.ORDER

  it('agrees with noble on random x', () => {
    const seen = { on: 0, off: 0 }
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
        fc.constantFrom(2, 3),
        (x, first) => {
          const bytes = point(first, x)
          const on = isCompressedPoint(curve, bytes)
          expect(on).toBe(nobleSays(curve, bytes))
          seen[on ? 'on' : 'off']++
        },
      ),
      { numRuns: 2000 },
    )
    expect(Math.min(seen.on, seen.off)).toBeGreaterThan(500)
  })

  it('agrees with noble on x at the edges', () => {
    let checked = 0
    for (const base of [0n, p, 2n ** 256n - 300n, 2n ** 28n, 2n ** 56n, 2n ** 128n, 2n ** 252n]) {
      for (let offset = -150n; offset <= 150n; offset++) {
        const x = base + offset
        if (x < 0n || x >= 2n ** 256n) continue
        expect(isCompressedPoint(curve, point(2, x)), x.toString(16)).toBe(
          nobleSays(curve, point(2, x)),
        )
        checked++
      }
    }
    expect(checked).toBeGreaterThan(1500)
  })

  it('refuses other first bytes and lengths', () => {
    const { BASE } = NOBLE_CURVES[curve].Point
    const bytes = BASE.toBytes(true)
    expect(isCompressedPoint(curve, bytes)).toBe(true)
    for (const first of [0, 1, 4, 5, 6, 7, 255]) {
      expect(isCompressedPoint(curve, Uint8Array.from([first, ...bytes.subarray(1)]))).toBe(false)
    }
    expect(isCompressedPoint(curve, bytes.subarray(0, 32))).toBe(false)
    expect(isCompressedPoint(curve, Uint8Array.from([...bytes, 0]))).toBe(false)
    expect(isCompressedPoint(curve, new Uint8Array())).toBe(false)
  })

  it('knows uncompressed points', () => {
    for (let scalar = 1n; scalar < 40n; scalar++) {
      const bytes = NOBLE_CURVES[curve].Point.BASE.multiply(scalar).toBytes(false)
      expect(isUncompressedPoint(curve, bytes)).toBe(true)
      const damaged = Uint8Array.from(bytes)
      damaged[64]! ^= 1
      expect(isUncompressedPoint(curve, damaged)).toBe(false)
    }
    expect(isUncompressedPoint(curve, new Uint8Array(65).fill(4))).toBe(false)
  })
})
