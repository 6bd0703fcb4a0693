import type { Curve } from './key.ts'

/**
 * Checks a signature that is already known to be 64 bytes, in range and low-S, over the SHA-256 of `bytes`.
 * Must not throw.
 */
export type VerifySignature = (bytes: Uint8Array, signature: Uint8Array) => boolean

/**
 * One implementation of ECDSA verification. Points, ranges and low-S are checked before it is asked, the
 * same way for every backend, so that backends cannot disagree about malformed keys or malleable signatures.
 */
export interface VerifyBackend {
  /** `native`, `node`, `noble`, or the name of your own. */
  readonly name: string
  /** Prepares a key for many verifications. `bytes` is a compressed point, already known to lie on the curve. */
  prepare(curve: Curve, bytes: Uint8Array): VerifySignature
}
