import { MAJOR_NEGATIVE, MAJOR_TEXT, MAJOR_UNSIGNED } from './cbor-reader.ts'
import { LimitExceededError } from './errors.ts'
import { MAX_CBOR_BYTES } from './limits.ts'

/** Bytes of the longest head this writes: the initial byte and a 64-bit argument. */
const MAX_HEAD_BYTES = 9
/** Most bytes of one UTF-16 code unit in UTF-8. */
const MAX_BYTES_A_UNIT = 3
/** Text up to this many units is tried as ASCII before the UTF-8 encoder is asked. */
const SHORT_TEXT_UNITS = 40
/** What even the longest text allowed asks for before its bytes are counted. */
const MOST_AT_ONCE = MAX_CBOR_BYTES * MAX_BYTES_A_UNIT + MAX_HEAD_BYTES
const TWO_32 = 0x1_0000_0000
const LONE_SURROGATE = /\p{Surrogate}/u

const INITIAL_BYTES = 1024
const NO_BYTES = new Uint8Array(0)
/** The largest buffer that is kept: most frames and every record fit. */
const MAX_SPARE_BYTES = 65_536

const utf8 = new TextEncoder()

/**
 * A buffer that no writer uses. Allocating one costs more than filling it, so the last writer leaves its own. Whoever takes it
 * has it alone: a value's getter may encode another value meanwhile.
 */
let spare: Uint8Array | undefined

/**
 * Writes the items of one CBOR encoding, each with its shortest head, into a buffer that grows. What is a legitimate value,
 * and in what order, is the caller's.
 *
 * Its methods throw {@link LimitExceededError} once the encoding passes {@link MAX_CBOR_BYTES}.
 */
export class CborWriter {
  private bytes: Uint8Array
  private position = 0

  constructor() {
    this.bytes = spare ?? new Uint8Array(INITIAL_BYTES)
    spare = undefined
  }

  /** Gives a copy of what was written. The writer is at its end. */
  finish(): Uint8Array {
    if (this.position > MAX_CBOR_BYTES)
      throw new LimitExceededError('cborBytes', MAX_CBOR_BYTES, this.position)
    const written = this.bytes.slice(0, this.position)
    if (this.bytes.length <= MAX_SPARE_BYTES) spare = this.bytes
    this.bytes = NO_BYTES
    this.position = 0
    return written
  }

  /** Writes a byte as it is: a simple value, a short head. */
  writeByte(byte: number): void {
    this.reserve(1)
    this.bytes[this.position++] = byte
  }

  /** Writes a head. `argument` is from 0 to 2^53 - 1. */
  writeHead(major: number, argument: number): void {
    this.reserve(MAX_HEAD_BYTES)
    this.position = putHead(this.bytes, this.position, major, argument)
  }

  /** Writes a safe integer; -0 is 0. */
  writeInteger(value: number): void {
    if (value < 0) this.writeHead(MAJOR_NEGATIVE, -1 - value)
    else this.writeHead(MAJOR_UNSIGNED, value)
  }

  /** Writes bytes without a head. */
  writeRaw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.position)
    this.position += bytes.length
  }

  /** Writes text; gives false, and the encoding is of no use any more, when it has a lone surrogate. */
  writeText(text: string): boolean {
    const units = text.length
    this.reserve(MAX_HEAD_BYTES + units * MAX_BYTES_A_UNIT)
    const { bytes, position } = this
    let start = position + headLength(units)
    if (units <= SHORT_TEXT_UNITS) {
      let i = 0
      for (; i < units; i++) {
        const unit = text.charCodeAt(i)
        if (unit > 0x7f) break
        bytes[start + i] = unit
      }
      if (i === units) {
        putHead(bytes, position, MAJOR_TEXT, units)
        this.position = start + units
        return true
      }
    }
    const { written } = utf8.encodeInto(text, bytes.subarray(start))
    // As many bytes as units is ASCII, which has no surrogates.
    if (written !== units) {
      if (LONE_SURROGATE.test(text)) return false
      const shift = headLength(written) - headLength(units)
      if (shift > 0) bytes.copyWithin(start + shift, start, start + written)
      start += shift
    }
    putHead(bytes, position, MAJOR_TEXT, written)
    this.position = start + written
    return true
  }

  private reserve(bytes: number): void {
    const needed = this.position + bytes
    if (needed <= this.bytes.length) return
    if (this.position > MAX_CBOR_BYTES || bytes > MOST_AT_ONCE)
      throw new LimitExceededError('cborBytes', MAX_CBOR_BYTES, needed)
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, needed))
    grown.set(this.bytes.subarray(0, this.position))
    this.bytes = grown
  }
}

/** Writes a head at `offset`, where there is room for {@link MAX_HEAD_BYTES}; gives where it ends. */
export function putHead(
  bytes: Uint8Array,
  offset: number,
  major: number,
  argument: number,
): number {
  const initial = major << 5
  let at = offset
  if (argument < 24) {
    bytes[at++] = initial | argument
  } else if (argument < 0x100) {
    bytes[at++] = initial | 24
    bytes[at++] = argument
  } else if (argument < 0x1_0000) {
    bytes[at++] = initial | 25
    bytes[at++] = argument >> 8
    bytes[at++] = argument
  } else if (argument < TWO_32) {
    bytes[at++] = initial | 26
    at = putUint32(bytes, at, argument)
  } else {
    bytes[at++] = initial | 27
    at = putUint32(bytes, at, Math.floor(argument / TWO_32))
    at = putUint32(bytes, at, argument % TWO_32)
  }
  return at
}

function putUint32(bytes: Uint8Array, offset: number, value: number): number {
  bytes[offset] = value >>> 24
  bytes[offset + 1] = value >>> 16
  bytes[offset + 2] = value >>> 8
  bytes[offset + 3] = value
  return offset + 4
}

function headLength(argument: number): number {
  if (argument < 24) return 1
  if (argument < 0x100) return 2
  return argument < 0x1_0000 ? 3 : 5
}
