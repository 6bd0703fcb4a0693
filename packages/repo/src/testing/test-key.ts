import { sha256 } from '../sha256.ts'
import type { Signer, Verifier } from '../signer.ts'

/**
 * Gives a pair of signer and verifier for tests: the same seed gives the same key, signatures have the right length and fail
 * for other bytes or other seeds. It is no cryptography: whoever knows the seed can forge, and it is on no curve.
 */
export function createTestKey(seed = 'test'): Signer & Verifier {
  const salt = new TextEncoder().encode(seed)
  function sign(bytes: Uint8Array): Uint8Array {
    const salted = new Uint8Array(salt.length + bytes.length)
    salted.set(salt)
    salted.set(bytes, salt.length)
    const signature = new Uint8Array(64)
    signature.set(sha256(salted))
    signature.set(sha256(signature.subarray(0, 32)), 32)
    return signature
  }
  return {
    sign,
    verify: (bytes, signature) => {
      const expected = sign(bytes)
      return signature.length === 64 && expected.every((byte, index) => signature[index] === byte)
    },
  }
}
