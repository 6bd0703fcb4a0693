import { mod, invert } from '@noble/curves/abstract/modular.js'
import { concatBytes } from '@noble/hashes/utils.js'
import { NOBLE_CURVES } from './backend-noble.ts'
import { OPENSSL_CURVES } from './backend-node.ts'
import { nodeCrypto } from './backends.ts'
import { deterministicNonces } from './deterministic-nonce.ts'
import type { Curve } from './key.ts'

const NUMBER_BYTES = 32
/** Digits of the base point's table: a quicker multiplication for some 60 ms at the first signature. */
const BASE_WINDOW = 8

/**
 * Base points of our own, so that the tables of the shared ones stay as their other users expect them. A table is
 * built at its first use.
 */
const BASES = { k256: createBase('k256'), p256: createBase('p256') }

/** Signs a 32-byte digest: 64 bytes, compact, low-S, RFC 6979. */
export type SignDigest = (digest: Uint8Array) => Uint8Array

/** x coordinate of a nonce times the base point. */
type MultiplyBase = (nonce: Uint8Array, scalar: bigint) => bigint

/**
 * A signer in this process. The multiplication of the base point, which is nearly all of the work, is done by OpenSSL
 * where that is quicker (p256), else by @noble/curves: the number of its operations does not depend on the nonce. The
 * inversion of the nonce is blinded.
 */
export function createDigestSigner(curve: Curve, secret: Uint8Array): SignDigest {
  const order = NOBLE_CURVES[curve].Point.Fn.ORDER
  const secretScalar = toNumber(secret)
  const multiplyBase = createMultiplyBase(curve)
  return (digest) => {
    const message = mod(toNumber(digest), order)
    for (const nonce of deterministicNonces(secret, toBytes(message))) {
      const k = toNumber(nonce)
      if (k === 0n || k >= order) continue
      const r = mod(multiplyBase(nonce, k), order)
      if (r === 0n) continue
      const blind = randomScalar(order)
      const inverse = invert(mod(k * blind, order), order)
      const s = mod(inverse * mod(blind * (message + mod(r * secretScalar, order)), order), order)
      if (s === 0n) continue
      return concatBytes(toBytes(r), toBytes(s > order >> 1n ? order - s : s))
    }
    throw new Error('nonces do not end')
  }
}

function createMultiplyBase(curve: Curve): MultiplyBase {
  if (curve === 'p256' && nodeCrypto !== undefined) {
    try {
      const ecdh = nodeCrypto.createECDH(OPENSSL_CURVES[curve])
      return (nonce) => {
        ecdh.setPrivateKey(nonce)
        return toNumber(ecdh.getPublicKey().subarray(1, 1 + NUMBER_BYTES))
      }
    } catch {
      // A Node API without this curve: the portable way below.
    }
  }
  const base = BASES[curve]
  return (_nonce, scalar) => base.multiplyUnsafe(scalar).toAffine().x
}

function createBase(curve: Curve): (typeof NOBLE_CURVES)[Curve]['Point']['BASE'] {
  const { Point } = NOBLE_CURVES[curve]
  return Point.fromAffine(Point.BASE.toAffine()).precompute(BASE_WINDOW)
}

function randomScalar(order: bigint): bigint {
  return mod(toNumber(crypto.getRandomValues(new Uint8Array(NUMBER_BYTES))), order - 1n) + 1n
}

function toNumber(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, NUMBER_BYTES)
  return (
    (view.getBigUint64(0) << 192n) |
    (view.getBigUint64(8) << 128n) |
    (view.getBigUint64(16) << 64n) |
    view.getBigUint64(24)
  )
}

function toBytes(value: bigint): Uint8Array {
  const bytes = new Uint8Array(NUMBER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, value >> 192n)
  view.setBigUint64(8, BigInt.asUintN(64, value >> 128n))
  view.setBigUint64(16, BigInt.asUintN(64, value >> 64n))
  view.setBigUint64(24, BigInt.asUintN(64, value))
  return bytes
}
