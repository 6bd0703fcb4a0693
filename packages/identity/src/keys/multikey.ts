import { base58btc } from 'multiformats/bases/base58'
import { concat } from 'uint8arrays/concat'
import { InvalidKeyError } from '../errors.ts'
import type { Curve } from './key.ts'

/** Longest `did:key:` or `z…` text looked at. A k256 or p256 key is 49 characters; base58 decoding is quadratic. */
export const MAX_MULTIKEY_CHARS = 256
/** A compressed point: one sign byte and 32 bytes of x. */
export const COMPRESSED_POINT_BYTES = 33

const DID_KEY_PREFIX = 'did:key:'
/** Multicodec varints: `secp256k1-pub` is 0xe7, `p256-pub` is 0x1200. */
const CODEC_K256 = Uint8Array.of(0xe7, 0x01)
const CODEC_P256 = Uint8Array.of(0x80, 0x24)

/** `z…` text of a compressed point. */
export function formatMultikey(curve: Curve, bytes: Uint8Array): string {
  const codec = curve === 'k256' ? CODEC_K256 : CODEC_P256
  return base58btc.encode(concat([codec, bytes]))
}

/** `did:key:` text of a `z…` multikey. */
export function formatDidKey(multibase: string): string {
  return DID_KEY_PREFIX + multibase
}

/** The `z…` part of a `did:key:z…` or of itself, undecoded. */
export function multibaseOf(text: string): string {
  return text.startsWith(DID_KEY_PREFIX) ? text.slice(DID_KEY_PREFIX.length) : text
}

/**
 * Splits a multikey into its curve and point. Does not check that the point lies on the curve.
 * @throws {InvalidKeyError} when the text is too long, not base58btc, of another codec or of the wrong length
 */
export function decodeMultikey(text: string): {
  readonly curve: Curve
  readonly bytes: Uint8Array
} {
  // Often a field of somebody's JSON.
  if (typeof text !== 'string') throw new InvalidKeyError('not text')
  if (text.length > MAX_MULTIKEY_CHARS) throw new InvalidKeyError('text too long')
  const multibase = multibaseOf(text)
  if (!multibase.startsWith('z')) throw new InvalidKeyError('not base58btc multibase')
  let decoded: Uint8Array
  try {
    decoded = base58btc.decode(multibase)
  } catch (cause) {
    throw new InvalidKeyError('not base58btc', { cause })
  }
  const curve = curveOf(decoded)
  if (curve === undefined) throw new InvalidKeyError('unknown key codec')
  const bytes = decoded.slice(2)
  if (bytes.length !== COMPRESSED_POINT_BYTES) throw new InvalidKeyError('point is not 33 bytes')
  return { curve, bytes }
}

/**
 * True for text that is a `did:key:` of any key type: `z` and decodable base58. PLC verification methods may hold
 * keys of curves this package cannot use.
 */
export function isDidKeySyntax(text: string): boolean {
  if (text.length > MAX_MULTIKEY_CHARS || !text.startsWith(`${DID_KEY_PREFIX}z`)) return false
  try {
    return base58btc.decode(text.slice(DID_KEY_PREFIX.length)).length > 0
  } catch {
    return false
  }
}

function curveOf(decoded: Uint8Array): Curve | undefined {
  if (decoded[0] === CODEC_K256[0] && decoded[1] === CODEC_K256[1]) return 'k256'
  if (decoded[0] === CODEC_P256[0] && decoded[1] === CODEC_P256[1]) return 'p256'
  return undefined
}
