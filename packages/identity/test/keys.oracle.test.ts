import { P256Keypair, Secp256k1Keypair, verifySignature } from '@atproto/crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  generatePrivateKey,
  importPrivateKey,
  parsePublicKey,
  verifyBackends,
} from '../src/keys/index.ts'
import type { Curve } from '../src/keys/index.ts'

const curves: readonly Curve[] = ['k256', 'p256']

describe.each(curves)('%s beside @atproto/crypto', (curve) => {
  const Keypair = curve === 'k256' ? Secp256k1Keypair : P256Keypair

  it('signs the same bytes and each accepts the other', async () => {
    let compared = 0
    for (let round = 0; round < 25; round++) {
      const key = generatePrivateKey(curve)
      const theirs = await Keypair.import(key.export())
      expect(theirs.did()).toBe(key.didKey)
      const message = fc.sample(fc.uint8Array({ maxLength: 300 }), 1)[0]!
      const signature = key.sign(message)
      expect(signature).toEqual(new Uint8Array(await theirs.sign(message)))
      expect(await verifySignature(key.didKey, message, signature)).toBe(true)
      for (const backend of verifyBackends) {
        expect(parsePublicKey(theirs.did(), { backend }).verify(message, signature)).toBe(true)
      }
      compared++
    }
    expect(compared).toBe(25)
  })

  it('every backend agrees with noble on damaged signatures, messages and keys', () => {
    const key = importPrivateKey(
      curve,
      'c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721',
    )
    const keys = verifyBackends.map((backend) => parsePublicKey(key.didKey, { backend }))
    let refused = 0
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(511), (message, bit) => {
        const signature = key.sign(message)
        expect(keys.map((each) => each.verify(message, signature))).toEqual(keys.map(() => true))
        signature[bit >> 3]! ^= 1 << (bit & 7)
        expect(keys.map((each) => each.verify(message, signature))).toEqual(keys.map(() => false))
        refused++
      }),
      { numRuns: 60 },
    )
    expect(refused).toBeGreaterThanOrEqual(60)
  })
})
