import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NOBLE_CURVES } from './backend-noble.ts'
import type { Curve } from './key.ts'
import { createDigestSigner } from './sign-ecdsa.ts'
import { toLowS } from './signature.ts'

const curves: readonly Curve[] = ['k256', 'p256']

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

describe.each(curves)('createDigestSigner on %s', (curve) => {
  const { Fn } = NOBLE_CURVES[curve].Point

  it('signs exactly as noble does', () => {
    let compared = 0
    const secrets = fc.bigInt({ min: 1n, max: Fn.ORDER - 1n }).map((secret) => Fn.toBytes(secret))
    fc.assert(
      fc.property(secrets, fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret, digest) => {
        const expected = NOBLE_CURVES[curve].sign(digest, secret, { prehash: false, lowS: true })
        expect(createDigestSigner(curve, secret)(digest)).toEqual(expected)
        compared++
      }),
      { numRuns: 200 },
    )
    expect(compared).toBe(200)
  })

  it('signs digests at and beyond the order, and with the smallest and largest secret', () => {
    const edges = [0n, 1n, Fn.ORDER - 1n, Fn.ORDER, Fn.ORDER + 1n, 2n ** 256n - 1n]
    for (const scalar of [1n, 2n, Fn.ORDER - 1n]) {
      const secret = Fn.toBytes(scalar)
      for (const edge of edges) {
        const digest = bytes(edge.toString(16).padStart(64, '0'))
        const expected = NOBLE_CURVES[curve].sign(digest, secret, { prehash: false, lowS: true })
        expect(createDigestSigner(curve, secret)(digest)).toEqual(expected)
      }
    }
  })
})

describe('RFC 6979, appendix A.2.5', () => {
  const sign = createDigestSigner(
    'p256',
    bytes('C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721'),
  )
  it.each([
    [
      'sample',
      'EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716',
      'F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8',
    ],
    [
      'test',
      'F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367',
      '019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083',
    ],
  ])('gives the published signature of "%s", in low-S form', (message, r, s) => {
    const digest = Uint8Array.from(createHash('sha256').update(message).digest())
    expect(sign(digest)).toEqual(toLowS('p256', bytes(r + s)))
  })
})
