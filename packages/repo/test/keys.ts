import { secp256k1 } from '@noble/curves/secp256k1.js'

import type { Signer, Verifier } from '../src/index.ts'

/** A key pair for tests; the same seed gives the same key. */
export function testKey(seed = 1): Signer & Verifier {
  const secret = new Uint8Array(32).fill(seed)
  const publicKey = secp256k1.getPublicKey(secret)
  return {
    sign: (bytes) => secp256k1.sign(bytes, secret, { lowS: true }),
    verify: (bytes, signature) => {
      try {
        return secp256k1.verify(signature, bytes, publicKey, { lowS: true })
      } catch {
        return false
      }
    },
  }
}

/** A key that signs with a hash instead of a curve: for tests and measurements that are not about signatures. */
export const fastKey: Signer & Verifier = {
  sign: (bytes) => new Uint8Array(64).fill(bytes.length & 0xff),
  verify: (bytes, signature) => signature.length === 64 && signature[0] === (bytes.length & 0xff),
}
