import type * as nodeCryptoModule from 'node:crypto'
import type { VerifyBackend } from './backend.ts'
import type { Curve } from './key.ts'

type NodeCrypto = typeof nodeCryptoModule

/** OpenSSL's names of the curves. */
export const OPENSSL_CURVES: Readonly<Record<Curve, string>> = {
  k256: 'secp256k1',
  p256: 'prime256v1',
}

/** DER of a SubjectPublicKeyInfo with a 33-byte point, up to the point. */
const SPKI_PREFIX: Readonly<Record<Curve, Uint8Array>> = {
  k256: Uint8Array.of(
    0x30,
    0x36,
    0x30,
    0x10,
    0x06,
    0x07,
    0x2a,
    0x86,
    0x48,
    0xce,
    0x3d,
    0x02,
    0x01,
    0x06,
    0x05,
    0x2b,
    0x81,
    0x04,
    0x00,
    0x0a,
    0x03,
    0x22,
    0x00,
  ),
  p256: Uint8Array.of(
    0x30,
    0x39,
    0x30,
    0x13,
    0x06,
    0x07,
    0x2a,
    0x86,
    0x48,
    0xce,
    0x3d,
    0x02,
    0x01,
    0x06,
    0x08,
    0x2a,
    0x86,
    0x48,
    0xce,
    0x3d,
    0x03,
    0x01,
    0x07,
    0x03,
    0x22,
    0x00,
  ),
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
      const prefix = SPKI_PREFIX[curve]
      const der = new Uint8Array(prefix.length + bytes.length)
      der.set(prefix)
      der.set(bytes, prefix.length)
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
