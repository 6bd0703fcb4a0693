import type { PublicKey } from './key.ts'
import type { Curve } from './key.ts'

/**
 * Reads a public key from `did:key:z…` or `z…`.
 * @throws {InvalidKeyError} when the text is not a compressed k256 or p256 key
 */
export declare function parsePublicKey(didKeyOrMultibase: string): PublicKey

/**
 * A public key from a point, compressed (33 bytes) or uncompressed (65 bytes).
 * @throws {InvalidKeyError} when the bytes are no point of the curve
 */
export declare function publicKeyFromBytes(curve: Curve, bytes: Uint8Array): PublicKey
