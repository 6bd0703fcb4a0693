import { describe, expect, it } from 'vitest'
import {
  generatePrivateKey,
  importPrivateKey,
  parsePublicKey,
  publicKeyFromBytes,
  toLowS,
} from '../src/keys/index.ts'
import type { Curve } from '../src/keys/index.ts'
import { NOBLE_CURVES } from '../src/keys/backend-noble.ts'

// The `slice` of a Node Buffer is a view, not a copy, and its memory is often used again.

describe.each<Curve>(['k256', 'p256'])('with Buffers, %s', (curve) => {
  const message = new TextEncoder().encode('hello')

  it('a private key keeps its own secret', () => {
    const original = generatePrivateKey(curve)
    const secret = Buffer.from(original.export())
    const key = importPrivateKey(curve, secret)
    secret.fill(0)
    expect(key.didKey).toBe(original.didKey)
    expect(parsePublicKey(original.didKey).verify(message, key.sign(message))).toBe(true)
  })

  it('a public key keeps its own point, and leaves the one it is given alone', () => {
    const key = generatePrivateKey(curve)
    const { publicKey } = key
    const long = NOBLE_CURVES[curve].Point.fromBytes(publicKey.bytes).toBytes(false)
    for (const point of [publicKey.bytes, long]) {
      const given = Buffer.from(point)
      const read = publicKeyFromBytes(curve, given)
      expect([...given]).toEqual([...point])
      given.fill(0)
      expect(read.didKey).toBe(key.didKey)
      expect(read.verify(message, key.sign(message))).toBe(true)
    }
  })

  it('normalising a signature leaves the one given alone', () => {
    const n = NOBLE_CURVES[curve].Point.Fn.ORDER
    const low = generatePrivateKey(curve).sign(message)
    const s = n - BigInt(`0x${Buffer.from(low.subarray(32)).toString('hex')}`)
    const high = Buffer.from(low)
    high.write(s.toString(16).padStart(64, '0'), 32, 'hex')
    const before = [...high]
    expect([...toLowS(curve, high)]).toEqual([...low])
    expect([...high]).toEqual(before)
  })
})
