import type { Curve } from './key.ts'

/**
 * Checks a signature that is already known to be 64 bytes, in range and low-S, over the SHA-256 of `bytes`.
 * Must not throw.
 */
export type VerifySignature = (bytes: Uint8Array, signature: Uint8Array) => boolean

/**
 * One implementation of ECDSA verification. Range and low-S are checked before it is asked, the same way for every
 * backend, so that backends cannot disagree about malleable or malformed signatures.
 */
export interface VerifyBackend {
  /** `native`, `node`, `noble`, or the name of your own. */
  readonly name: string
  /** True when the 33 bytes are a compressed point of the curve. */
  isPoint(curve: Curve, bytes: Uint8Array): boolean
  /** Prepares a valid point for many verifications. */
  prepare(curve: Curve, bytes: Uint8Array): VerifySignature
}
