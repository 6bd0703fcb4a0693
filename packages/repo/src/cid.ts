import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import { Digest } from 'multiformats/hashes/digest'
import { equals } from 'uint8arrays/equals'

import { fromByteString, toByteString } from './byte-string.ts'
import { copyBytes } from './copy-bytes.ts'
import { InvalidCidError } from './errors.ts'
import { MAX_CID_BYTES } from './limits.ts'
import { sha256, sha256ByteString } from './sha256.ts'

/**
 * A content identifier. Never test one with `instanceof`: other copies of multiformats exist in one process; use {@link isCid} and {@link asCid}.
 *
 * @see {@link https://atproto.com/specs/data-model#link-and-cid-formats}
 */
export type Cid = CID

/** A CID as a byte string: its binary form, one character per byte. The form CIDs have inside the hot paths and as `Map` keys. */
export type CidKey = string

/** Multicodec of DRISL/DAG-CBOR: records, MST nodes, commits. */
export const CODEC_CBOR = 0x71
/** Multicodec of raw bytes: blobs. */
export const CODEC_RAW = 0x55
/** Multihash code of SHA-256, the only one the protocol blesses. */
export const HASH_SHA256 = 0x12
/** Bytes of a blessed binary CID: version, codec, hash, length, digest. */
export const BLESSED_CID_BYTES = 36

/** The four bytes before the digest of a DAG-CBOR CID, as a byte string. */
export const CBOR_CID_PREFIX = '\x01\x71\x12\x20'

const MAX_CID_TEXT = 256
const BASE32_CID = /^b[a-z2-7]+$/

/** Tells whether `value` is a CID, of this copy of multiformats or of another. */
export function isCid(value: unknown): value is Cid {
  return asCid(value) !== undefined
}

/** Gives `value` as a CID of our multiformats, whichever copy made it; undefined when it is none. */
export function asCid(value: unknown): Cid | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  // A decoded record may hold equal strings under `/` and `bytes`, which multiformats would take for a CID.
  if (!('bytes' in value) || !(value.bytes instanceof Uint8Array)) return undefined
  return CID.asCID(value) ?? undefined
}

/**
 * Reads a CID from its text.
 *
 * @throws {InvalidCidError} when the text is not lower-case base32 with prefix `b` of a CIDv1 with a SHA-256 digest of 32 bytes and the CBOR or raw codec.
 */
export function parseCid(text: string): Cid {
  if (text.length > MAX_CID_TEXT || !BASE32_CID.test(text)) {
    throw new InvalidCidError('not lower-case base32')
  }
  let bytes: Uint8Array
  try {
    bytes = base32.decode(text)
  } catch (cause) {
    throw new InvalidCidError('not base32', { cause })
  }
  const cid = cidFromBytes(bytes)
  if (cid.toString() !== text) throw new InvalidCidError('stray bits in base32')
  return cid
}

/**
 * Gives the CID of a binary CID; the bytes are copied.
 *
 * @throws {InvalidCidError} when the bytes are not exactly one blessed CID: version 1, codec CBOR or raw, SHA-256, 32-byte digest.
 */
export function cidFromBytes(bytes: Uint8Array): Cid {
  const problem = describeUnblessed(bytes)
  if (problem !== undefined) throw new InvalidCidError(problem)
  return blessedCid(copyBytes(bytes))
}

/**
 * Gives the CID of any well-formed binary CIDv1, blessed or not; the bytes are copied. Links inside records may be of foreign kinds.
 *
 * @throws {InvalidCidError} when the bytes are not exactly one CIDv1.
 */
export function cidFromForeignBytes(bytes: Uint8Array): Cid {
  if (describeUnblessed(bytes) === undefined) return blessedCid(copyBytes(bytes))
  if (bytes.length > MAX_CID_BYTES) throw new InvalidCidError('too long')
  if (bytes[0] !== 1) throw new InvalidCidError('not version 1')
  try {
    return CID.decode(copyBytes(bytes))
  } catch (cause) {
    throw new InvalidCidError('not a binary cid', { cause })
  }
}

/**
 * Gives the CID of a codec and a SHA-256 digest.
 *
 * @throws {InvalidCidError} when the codec is neither {@link CODEC_CBOR} nor {@link CODEC_RAW} or the digest is not 32 bytes.
 */
export function createCid(codec: number, digest: Uint8Array): Cid {
  if (codec !== CODEC_CBOR && codec !== CODEC_RAW) throw new InvalidCidError('codec not allowed')
  if (digest.length !== 32) throw new InvalidCidError('digest is not 32 bytes')
  const bytes = new Uint8Array(BLESSED_CID_BYTES)
  bytes[0] = 1
  bytes[1] = codec
  bytes[2] = HASH_SHA256
  bytes[3] = 32
  bytes.set(digest, 4)
  return blessedCid(bytes)
}

/** Gives the CID of an encoded CBOR block: codec {@link CODEC_CBOR}, SHA-256 of the bytes. */
export function cidForCbor(bytes: Uint8Array): Cid {
  return createCid(CODEC_CBOR, sha256(bytes))
}

/** Gives the CID of raw bytes (a blob): codec {@link CODEC_RAW}, SHA-256 of the bytes. */
export function cidForRaw(bytes: Uint8Array): Cid {
  return createCid(CODEC_RAW, sha256(bytes))
}

/** Gives the key of an encoded CBOR block's CID. */
export function cidKeyForCbor(bytes: Uint8Array): CidKey {
  return CBOR_CID_PREFIX + sha256ByteString(bytes)
}

/** Gives the key of a CID: its bytes as a byte string. */
export function cidKey(cid: Cid): CidKey {
  return toByteString(cid.bytes)
}

/** Gives the CID of a key made by {@link cidKey}. */
export function cidFromKey(key: CidKey): Cid {
  const bytes = fromByteString(key)
  return isBlessedCborKey(key) ? blessedCid(bytes) : cidFromForeignBytes(bytes)
}

/** Gives the text of a key made by {@link cidKey}. */
export function formatCidKey(key: CidKey): string {
  return base32.encode(fromByteString(key))
}

/** Tells whether a key is a CIDv1 of a CBOR block with a SHA-256 digest. */
export function isBlessedCborKey(key: CidKey): boolean {
  return key.length === BLESSED_CID_BYTES && key.startsWith(CBOR_CID_PREFIX)
}

/**
 * Checks that a CID may be linked to: links inside records and trees may be of foreign kinds, but not of every one.
 *
 * @throws {InvalidCidError} when it is of version 0 or longer than {@link MAX_CID_BYTES}.
 */
export function checkLinkable(cid: Cid): void {
  if (cid.version !== 1) throw new InvalidCidError('not version 1')
  if (cid.bytes.length > MAX_CID_BYTES) throw new InvalidCidError('too long')
}

/** Tells whether two CIDs have the same bytes. */
export function equalCids(a: Cid, b: Cid): boolean {
  return a === b || equals(a.bytes, b.bytes)
}

function describeUnblessed(bytes: Uint8Array): string | undefined {
  if (bytes.length !== BLESSED_CID_BYTES) return 'not 36 bytes'
  if (bytes[0] !== 1) return 'not version 1'
  if (bytes[1] !== CODEC_CBOR && bytes[1] !== CODEC_RAW) return 'codec not allowed'
  if (bytes[2] !== HASH_SHA256 || bytes[3] !== 32) return 'hash is not sha-256'
  return undefined
}

/** Wraps 36 bytes already known to be a blessed CID, without parsing them again. */
function blessedCid(bytes: Uint8Array): Cid {
  const multihash = bytes.subarray(2)
  return new CID(
    1,
    bytes[1] ?? CODEC_CBOR,
    new Digest(HASH_SHA256, 32, bytes.subarray(4), multihash),
    bytes,
  )
}
