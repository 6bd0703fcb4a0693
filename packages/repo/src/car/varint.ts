import { InvalidCarError } from '../errors.ts'

/** Bytes of the longest varint that stays below 2^53, with one to spare for the format's own bound of nine. */
const MAX_VARINT_BYTES = 9

/** A position in bytes, advanced by the reads. */
export interface Cursor {
  at: number
}

/**
 * Reads an unsigned LEB128 varint in its shortest form.
 *
 * @throws {InvalidCarError} when it is truncated, longer than nine bytes or needed, or beyond 2^53-1.
 */
export function readVarint(bytes: Uint8Array, cursor: Cursor, end: number): number {
  const start = cursor.at
  let value = 0
  let scale = 1
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    value += (byte & 0x7f) * scale
    if (byte < 0x80) {
      if (byte === 0 && at > start) throw new InvalidCarError('varint longer than needed', start)
      if (value > Number.MAX_SAFE_INTEGER) throw new InvalidCarError('varint out of range', start)
      cursor.at = at + 1
      return value
    }
    if (at - start + 1 >= MAX_VARINT_BYTES) throw new InvalidCarError('varint too long', start)
    scale *= 128
  }
  throw new InvalidCarError('truncated', start)
}

/** Gives the number of bytes of the varint that ends within `bytes` from `start`; undefined when more bytes are needed to tell. */
export function varintLength(bytes: Uint8Array, start: number): number | undefined {
  const end = Math.min(bytes.length, start + MAX_VARINT_BYTES)
  for (let at = start; at < end; at++) {
    if ((bytes[at] ?? 0) < 0x80) return at - start + 1
  }
  // Nine bytes without an end is an error the reader reports.
  return end - start === MAX_VARINT_BYTES ? MAX_VARINT_BYTES : undefined
}

/** Gives the number of bytes {@link writeVarint} needs. */
export function sizeOfVarint(value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) size++
  return size
}

/** Writes a varint at `offset` and gives the offset behind it. */
export function writeVarint(bytes: Uint8Array, value: number, offset: number): number {
  let at = offset
  let rest = value
  while (rest >= 0x80) {
    bytes[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  bytes[at++] = rest
  return at
}
