import { fromString } from 'uint8arrays/from-string'
import { copyBytes } from './copy-bytes.ts'
import type { Curve } from './key.ts'

/** Bytes of a compact signature: r and s, 32 each, big-endian. */
export const SIGNATURE_BYTES = 64
const NUMBER_BYTES = 32

const ORDER: Readonly<Record<Curve, Uint8Array>> = {
  k256: fromString('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 'base16'),
  p256: fromString('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'base16'),
}
/** Half the order, rounded down: the largest low s. */
const HALF_ORDER: Readonly<Record<Curve, Uint8Array>> = {
  k256: fromString('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'base16'),
  p256: fromString('7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8', 'base16'),
}

/**
 * What kind of 64 bytes these are: `low` and `high` are in range, `invalid` is no bytes at all (a field that is
 * missing), has the wrong length or an r or s that is zero or not below the order.
 */
export function classifySignature(curve: Curve, signature: Uint8Array): 'low' | 'high' | 'invalid' {
  if (!ArrayBuffer.isView(signature) || signature.length !== SIGNATURE_BYTES) return 'invalid'
  const order = ORDER[curve]
  if (isZero(signature, 0) || compare(signature, 0, order) >= 0) return 'invalid'
  if (isZero(signature, NUMBER_BYTES)) return 'invalid'
  if (compare(signature, NUMBER_BYTES, HALF_ORDER[curve]) <= 0) return 'low'
  return compare(signature, NUMBER_BYTES, order) < 0 ? 'high' : 'invalid'
}

/**
 * The low-S form of a compact signature (a copy), for signers that do not normalise: WebCrypto, most KMS.
 * @throws {RangeError} when `signature` is not 64 bytes with r and s in range
 */
export function toLowS(curve: Curve, signature: Uint8Array): Uint8Array {
  const kind = classifySignature(curve, signature)
  if (kind === 'invalid') throw new RangeError('signature must be 64 bytes with r and s in range')
  const normalised = copyBytes(signature)
  if (kind === 'high') {
    const order = ORDER[curve]
    let borrow = 0
    for (let i = NUMBER_BYTES - 1; i >= 0; i--) {
      const difference = (order[i] ?? 0) - (signature[NUMBER_BYTES + i] ?? 0) - borrow
      normalised[NUMBER_BYTES + i] = difference & 0xff
      borrow = difference < 0 ? 1 : 0
    }
  }
  return normalised
}

function compare(bytes: Uint8Array, offset: number, bound: Uint8Array): number {
  for (let i = 0; i < NUMBER_BYTES; i++) {
    const difference = (bytes[offset + i] ?? 0) - (bound[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function isZero(bytes: Uint8Array, offset: number): boolean {
  for (let i = offset; i < offset + NUMBER_BYTES; i++) if (bytes[i] !== 0) return false
  return true
}
