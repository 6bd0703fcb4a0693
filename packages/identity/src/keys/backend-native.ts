import type { VerifyBackend } from './backend.ts'

/** The part of the `secp256k1` npm package (libsecp256k1 bindings) that is used here. */
export interface NativeSecp256k1 {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
  ecdsaSign(digest: Uint8Array, secret: Uint8Array): { readonly signature: Uint8Array }
  publicKeyCreate(secret: Uint8Array, compressed: boolean): Uint8Array
  publicKeyConvert(publicKey: Uint8Array, compressed: boolean): Uint8Array
}

/** SHA-256 of bytes, synchronously. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/** libsecp256k1 for k256, another backend for p256. */
export function createNativeBackend(
  native: NativeSecp256k1,
  sha256: Sha256,
  other: VerifyBackend,
): VerifyBackend {
  return {
    name: 'native',
    prepare(curve, bytes) {
      if (curve !== 'k256') return other.prepare(curve, bytes)
      // Uncompressed once: it saves a square root in every verification.
      const point = native.publicKeyConvert(bytes, false)
      return (message, signature) => {
        try {
          return native.ecdsaVerify(signature, sha256(message), point)
        } catch {
          return false
        }
      }
    },
  }
}

/** True when the module offers what {@link createNativeBackend} calls. */
export function isNativeSecp256k1(module: unknown): module is NativeSecp256k1 {
  if (typeof module !== 'object' || module === null) return false
  return ['ecdsaVerify', 'ecdsaSign', 'publicKeyCreate', 'publicKeyConvert'].every(
    (name) => typeof Reflect.get(module, name) === 'function',
  )
}
