/**
 * Byte strings: one character per byte (0-255). Inside the hot paths keys and CIDs travel in this form, because JavaScript
 * compares, hashes and slices strings far faster than arrays, and comparing them orders by bytes.
 */

interface ByteSlicer {
  latin1Slice(this: Uint8Array, start: number, end: number): string
  latin1Write(this: Uint8Array, text: string, offset: number): number
}

function nativeSlicer(): ByteSlicer | undefined {
  const prototype: unknown = (globalThis as { Buffer?: { prototype?: unknown } }).Buffer?.prototype
  if (typeof prototype !== 'object' || prototype === null) return undefined
  if (!('latin1Slice' in prototype) || typeof prototype.latin1Slice !== 'function') return undefined
  if (!('latin1Write' in prototype) || typeof prototype.latin1Write !== 'function') return undefined
  // Checked above: both methods are functions; they work on any Uint8Array.
  return prototype as ByteSlicer
}

/** Characters handed to `String.fromCharCode` at once; engines bound the number of arguments. */
const CHUNK = 4096

function portableSlice(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + CHUNK)))
  }
  return text
}

function portableWrite(bytes: Uint8Array, text: string, offset: number): number {
  const length = Math.min(text.length, bytes.length - offset)
  for (let i = 0; i < length; i++) bytes[offset + i] = text.charCodeAt(i)
  return length
}

const native = nativeSlicer()

/** Gives the bytes from `start` to `end` as a byte string. */
export const sliceByteString: (bytes: Uint8Array, start: number, end: number) => string = native
  ? (bytes, start, end) => native.latin1Slice.call(bytes, start, end)
  : portableSlice

/** Writes a byte string into `bytes` at `offset`; gives the number of bytes written. Characters above 255 lose their high bits: check first. */
export const writeByteString: (bytes: Uint8Array, text: string, offset: number) => number = native
  ? (bytes, text, offset) => native.latin1Write.call(bytes, text, offset)
  : portableWrite

/** Gives the bytes as a byte string. */
export function toByteString(bytes: Uint8Array): string {
  return sliceByteString(bytes, 0, bytes.length)
}

/** Gives a new array with the bytes of a byte string. */
export function fromByteString(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  writeByteString(bytes, text, 0)
  return bytes
}
