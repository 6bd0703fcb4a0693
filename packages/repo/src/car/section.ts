import { sliceByteString } from '../byte-string.ts'
import { BLESSED_CID_BYTES, CODEC_CBOR, CODEC_RAW, HASH_SHA256 } from '../cid.ts'
import { InvalidCarError } from '../errors.ts'
import { MAX_CID_BYTES } from '../limits.ts'
import { sha256ByteString } from '../sha256.ts'
import { type Cursor, readVarint } from './varint.ts'

/** Tells whether a blessed binary CID (version 1, CBOR or raw, SHA-256) begins at `at`. */
export function isBlessedAt(bytes: Uint8Array, at: number): boolean {
  const codec = bytes[at + 1]
  return (
    bytes[at] === 1 &&
    (codec === CODEC_CBOR || codec === CODEC_RAW) &&
    bytes[at + 2] === HASH_SHA256 &&
    bytes[at + 3] === 32
  )
}

/**
 * Gives the length of the binary CID that begins at `start`, by parsing it.
 *
 * @throws {InvalidCarError} when none is there or it passes `end`.
 */
export function cidLengthAt(bytes: Uint8Array, start: number, end: number): number {
  let length: number
  if (isBlessedAt(bytes, start)) {
    length = BLESSED_CID_BYTES
  } else if (bytes[start] === HASH_SHA256 && bytes[start + 1] === 32) {
    length = 34
  } else {
    const cursor: Cursor = { at: start }
    if (readVarint(bytes, cursor, end) !== 1)
      throw new InvalidCarError('cid is not version 1', start)
    readVarint(bytes, cursor, end)
    readVarint(bytes, cursor, end)
    const digest = readVarint(bytes, cursor, end)
    length = cursor.at - start + digest
  }
  if (length > MAX_CID_BYTES) throw new InvalidCarError('cid too long', start)
  if (start + length > end) throw new InvalidCarError('section shorter than its cid', start)
  return length
}

/** Tells whether the bytes of a block hash to the digest of its blessed CID at `cidAt`. */
export function blockMatches(bytes: Uint8Array, cidAt: number, block: Uint8Array): boolean {
  return sha256ByteString(block) === sliceByteString(bytes, cidAt + 4, cidAt + BLESSED_CID_BYTES)
}
