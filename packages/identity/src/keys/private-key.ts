import type { Curve, PrivateKey } from './key.ts'

/** A new private key from the system's randomness. */
export declare function generatePrivateKey(curve: Curve): PrivateKey

/**
 * A private key from 32 bytes, or their 64 hexadecimal digits.
 * @throws {InvalidKeyError} when the secret is not in the range of the curve
 */
export declare function importPrivateKey(curve: Curve, secret: Uint8Array | string): PrivateKey
