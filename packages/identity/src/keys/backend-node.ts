import type * as nodeCryptoModule from 'node:crypto'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import type { VerifyBackend } from './backend.ts'
import type { Curve } from './key.ts'

type NodeCrypto = typeof nodeCryptoModule

/** OpenSSL's names of the curves. */
export const OPENSSL_CURVES: Readonly<Record<Curve, string>> = {
  k256: 'secp256k1',
  p256: 'prime256v1',
}

/** DER of a SubjectPublicKeyInfo with an uncompressed point, up to the point. */
const SPKI_PREFIX: Readonly<Record<Curve, Uint8Array>> = {
  k256: fromString('3056301006072a8648ce3d020106052b8104000a034200', 'base16'),
  p256: fromString('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'base16'),
}

/**
 * OpenSSL through node:crypto, with one key object per key. `undefined` where a runtime has no node:crypto, or one
 * that lacks a curve (BoringSSL has no secp256k1).
 */
export function createNodeBackend(crypto: NodeCrypto): VerifyBackend | undefined {
  try {
    const curves = crypto.getCurves()
    if (!Object.values(OPENSSL_CURVES).every((name) => curves.includes(name))) return undefined
  } catch {
    return undefined
  }
  return {
    name: 'node',
    prepare(curve, bytes) {
      // OpenSSL verifies a fifth slower, every time, with a key that was given compressed.
      const point = crypto.ECDH.convertKey(
        bytes,
        OPENSSL_CURVES[curve],
        undefined,
        undefined,
        'uncompressed',
      )
      // Without an output encoding it is bytes, whatever the declaration allows for.
      const der = concat([SPKI_PREFIX[curve], point as Uint8Array])
      // Node takes any view here; its type declarations name Buffer only.
      const key = crypto.createPublicKey({ key: der as Buffer, format: 'der', type: 'spki' })
      const options = { key, dsaEncoding: 'ieee-p1363' } as const
      return (message, signature) => {
        try {
          return crypto.verify('sha256', message, options, signature)
        } catch {
          return false
        }
      }
    },
  }
}
