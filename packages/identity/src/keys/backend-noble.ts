import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import type { VerifyBackend } from './backend.ts'
import type { Curve } from './key.ts'

/** The curves of @noble/curves by our names. */
export const NOBLE_CURVES: Readonly<Record<Curve, typeof secp256k1>> = { k256: secp256k1, p256 }

const VERIFY_OPTIONS = { prehash: true, lowS: true, format: 'compact' } as const

/** Pure JavaScript, everywhere. */
export const nobleBackend: VerifyBackend = {
  name: 'noble',
  prepare(curve, bytes) {
    const implementation = NOBLE_CURVES[curve]
    return (message, signature) => {
      try {
        return implementation.verify(signature, message, bytes, VERIFY_OPTIONS)
      } catch {
        return false
      }
    }
  },
}
