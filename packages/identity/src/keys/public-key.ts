import { InvalidKeyError } from '../errors.ts'
import { defaultBackend } from './backends.ts'
import type { VerifyBackend, VerifySignature } from './backend.ts'
import { isCompressedPoint, isUncompressedPoint } from './curve-point.ts'
import { copyBytes } from './copy-bytes.ts'
import type { Curve, JwtAlg, PublicKey, VerifyOptions } from './key.ts'
import {
  COMPRESSED_POINT_BYTES,
  decodeMultikey,
  formatDidKey,
  formatMultikey,
  multibaseOf,
} from './multikey.ts'
import { classifySignature, toLowS } from './signature.ts'

/** Options of {@link parsePublicKey} and {@link publicKeyFromBytes}. */
export interface PublicKeyOptions {
  /**
   * Who verifies.
   * @defaultValue the fastest of {@link verifyBackends}
   */
  readonly backend?: VerifyBackend
}

/**
 * Reads a public key from `did:key:z…` or `z…`. The text is bounded before it is decoded, and the point is checked to
 * lie on its curve.
 * @throws {InvalidKeyError} when the text is not a compressed k256 or p256 key
 * @see {@link https://atproto.com/specs/cryptography#public-key-encoding}
 */
export function parsePublicKey(
  didKeyOrMultibase: string,
  options: PublicKeyOptions = {},
): PublicKey {
  const { curve, bytes } = decodeMultikey(didKeyOrMultibase)
  return createPublicKey(curve, bytes, options, multibaseOf(didKeyOrMultibase))
}

/**
 * A public key from a point, compressed (33 bytes) or uncompressed (65 bytes).
 * @throws {InvalidKeyError} when the bytes are no point of the curve
 */
export function publicKeyFromBytes(
  curve: Curve,
  bytes: Uint8Array,
  options: PublicKeyOptions = {},
): PublicKey {
  const point = bytes[0] === 4 ? compress(curve, bytes) : copyBytes(bytes)
  return createPublicKey(curve, point, options)
}

/** JWS algorithm of a curve. */
export function jwtAlgOf(curve: Curve): JwtAlg {
  return curve === 'k256' ? 'ES256K' : 'ES256'
}

function createPublicKey(
  curve: Curve,
  bytes: Uint8Array,
  options: PublicKeyOptions,
  multibase?: string,
): PublicKey {
  const { backend = defaultBackend } = options
  if (bytes.length !== COMPRESSED_POINT_BYTES) throw new InvalidKeyError('point is not 33 bytes')
  if (!isCompressedPoint(curve, bytes)) throw new InvalidKeyError('point is not on the curve')
  return new PreparedPublicKey(curve, bytes, backend, multibase ?? formatMultikey(curve, bytes))
}

class PreparedPublicKey implements PublicKey {
  readonly curve: Curve
  readonly bytes: Uint8Array
  readonly multibase: string
  readonly #backend: VerifyBackend
  #verify: VerifySignature | undefined

  constructor(curve: Curve, bytes: Uint8Array, backend: VerifyBackend, multibase: string) {
    this.curve = curve
    this.bytes = bytes
    this.multibase = multibase
    this.#backend = backend
  }

  get didKey(): string {
    return formatDidKey(this.multibase)
  }

  get jwtAlg(): JwtAlg {
    return jwtAlgOf(this.curve)
  }

  verify(bytes: Uint8Array, signature: Uint8Array, options?: VerifyOptions): boolean {
    const kind = classifySignature(this.curve, signature)
    if (kind === 'invalid') return false
    if (kind === 'high' && options?.allowHighS !== true) return false
    this.#verify ??= this.#backend.prepare(this.curve, this.bytes)
    return this.#verify(bytes, kind === 'high' ? toLowS(this.curve, signature) : signature)
  }

  toJSON(): { readonly didKey: string } {
    return { didKey: this.didKey }
  }
}

function compress(curve: Curve, uncompressed: Uint8Array): Uint8Array {
  if (!isUncompressedPoint(curve, uncompressed)) {
    throw new InvalidKeyError('not an uncompressed point of the curve')
  }
  const compressed = copyBytes(uncompressed.subarray(0, COMPRESSED_POINT_BYTES))
  compressed[0] = 2 + ((uncompressed.at(-1) ?? 0) & 1)
  return compressed
}
