import { sliceByteString } from './byte-string.ts'
import { InvalidCborError } from './errors.ts'
import { MAX_CID_BYTES } from './limits.ts'

/** CBOR major types, as {@link CborReader.major} gives them. */
export const MAJOR_UNSIGNED = 0
export const MAJOR_NEGATIVE = 1
export const MAJOR_BYTES = 2
export const MAJOR_TEXT = 3
export const MAJOR_ARRAY = 4
export const MAJOR_MAP = 5
export const MAJOR_TAG = 6
export const MAJOR_SIMPLE = 7

/** The one-byte items false, true and null. */
export const CBOR_FALSE = 0xf4
export const CBOR_TRUE = 0xf5
export const CBOR_NULL = 0xf6

const TWO_32 = 0x1_0000_0000
const MAX_SAFE_HIGH = 0x1f_ffff
/** Text up to this many bytes is tried as ASCII before the UTF-8 decoder is asked. */
const SHORT_TEXT_BYTES = 96

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A cursor over canonical CBOR in memory: every read is checked against the end before it happens, every head must have its
 * shortest form, indefinite lengths are refused. The codecs for general values, MST nodes, commits, CAR headers and frames
 * are written on it.
 *
 * @throws {InvalidCborError} from every method when the bytes are not what the method reads.
 */
export class CborReader {
  readonly bytes: Uint8Array
  /** Where the next item begins. */
  position: number
  readonly end: number
  /** Major type of the head read last. */
  major = 0
  /** Whether the argument read last does not fit 53 bits; then {@link CborReader.wideArgument} has it. */
  wide = false
  private high = 0
  private low = 0
  private readonly shortest: boolean

  constructor(
    bytes: Uint8Array,
    start = 0,
    end: number = bytes.length,
    options: { readonly shortest?: boolean } = {},
  ) {
    if (start < 0 || end > bytes.length || start > end)
      throw new RangeError('start and end must lie within bytes')
    this.bytes = bytes
    this.position = start
    this.end = end
    this.shortest = options.shortest ?? true
  }

  /** Throws about the item at `offset`. */
  fail(reason: string, offset: number = this.position): never {
    throw new InvalidCborError(reason, offset)
  }

  /** Gives the byte at the position without reading it; -1 at the end. */
  peek(): number {
    return this.position < this.end ? (this.bytes[this.position] ?? -1) : -1
  }

  /**
   * Reads the head of an item: sets {@link CborReader.major} and gives the argument (value, length, count or tag).
   * For major 7 the argument is the additional information itself (20 false, 21 true, 22 null, 25-27 floats).
   */
  readHead(): number {
    const { bytes, position, end } = this
    if (position >= end) this.fail('truncated')
    const initial = bytes[position] ?? 0
    this.major = initial >> 5
    this.wide = false
    const info = initial & 31
    if (info < 24 || this.major === MAJOR_SIMPLE) {
      this.position = position + 1
      return info
    }
    if (info > 27) this.fail(info === 31 ? 'indefinite length' : 'reserved additional information')
    const width = 1 << (info - 24)
    if (position + 1 + width > end) this.fail('truncated')
    let value: number
    if (width === 1) {
      value = bytes[position + 1] ?? 0
      if (value < 24 && this.shortest) this.fail('head not in shortest form')
    } else if (width === 2) {
      value = ((bytes[position + 1] ?? 0) << 8) | (bytes[position + 2] ?? 0)
      if (value < 0x100 && this.shortest) this.fail('head not in shortest form')
    } else if (width === 4) {
      value = this.readUint32(position + 1)
      if (value < 0x1_0000 && this.shortest) this.fail('head not in shortest form')
    } else {
      this.high = this.readUint32(position + 1)
      this.low = this.readUint32(position + 5)
      if (this.high === 0 && this.shortest) this.fail('head not in shortest form')
      value = this.high * TWO_32 + this.low
      this.wide = this.high > MAX_SAFE_HIGH
    }
    this.position = position + 1 + width
    return value
  }

  private readUint32(at: number): number {
    const { bytes } = this
    return (
      (((bytes[at] ?? 0) << 24) |
        ((bytes[at + 1] ?? 0) << 16) |
        ((bytes[at + 2] ?? 0) << 8) |
        (bytes[at + 3] ?? 0)) >>>
      0
    )
  }

  /** The argument read last, exactly. */
  wideArgument(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low)
  }

  /** Reads a head that must have this major type; gives its argument, which fits 53 bits. */
  expect(major: number, what: string): number {
    const at = this.position
    const value = this.readHead()
    if (this.major !== major) this.fail(`expected ${what}`, at)
    if (this.wide) this.fail(`${what} out of range`, at)
    return value
  }

  /** Reads the given bytes literally. */
  expectLiteral(text: string, what: string): void {
    const { bytes, position } = this
    if (position + text.length > this.end) this.fail('truncated')
    for (let i = 0; i < text.length; i++) {
      if (bytes[position + i] !== text.charCodeAt(i)) this.fail(`expected ${what}`)
    }
    this.position = position + text.length
  }

  /** Reads an unsigned integer of at most `max`. */
  readUnsigned(max: number, what: string): number {
    const at = this.position
    const value = this.expect(MAJOR_UNSIGNED, what)
    if (value > max) this.fail(`${what} out of range`, at)
    return value
  }

  /** Reads the head of an array of at most `max` items; refuses more items than bytes remain. */
  readArrayHead(max: number, what: string): number {
    const at = this.position
    const count = this.expect(MAJOR_ARRAY, what)
    if (count > max || count > this.end - this.position) this.fail(`${what} too long`, at)
    return count
  }

  /** Reads the head of a map of at most `max` entries; refuses more entries than half the bytes that remain. */
  readMapHead(max: number, what: string): number {
    const at = this.position
    const count = this.expect(MAJOR_MAP, what)
    if (count > max || count * 2 > this.end - this.position) this.fail(`${what} too long`, at)
    return count
  }

  /** Reads the head of a byte string of at most `max` bytes and leaves the position at its first byte; gives the length. */
  readBytesHead(max: number, what: string): number {
    const at = this.position
    const length = this.expect(MAJOR_BYTES, what)
    if (length > max || length > this.end - this.position) this.fail(`${what} too long`, at)
    return length
  }

  /** Reads a byte string; gives a view of the input. */
  readBytes(max: number, what: string): Uint8Array {
    const length = this.readBytesHead(max, what)
    return this.view(length)
  }

  /** Reads a text of at most `max` bytes. */
  readText(max: number, what: string): string {
    const at = this.position
    const length = this.expect(MAJOR_TEXT, what)
    if (length > max || length > this.end - this.position) this.fail(`${what} too long`, at)
    return this.textOf(length)
  }

  /** Reads a link (tag 42) and gives the binary CID behind it as a byte string. */
  readLinkKey(what: string): string {
    const length = this.readLinkHead(what)
    const start = this.position
    this.position = start + length
    return sliceByteString(this.bytes, start, start + length)
  }

  /** Reads the head of a link up to the first byte of its binary CID; gives the CID's length. */
  readLinkHead(what: string): number {
    const at = this.position
    if (this.expect(MAJOR_TAG, what) !== 42) this.fail('tag not allowed', at)
    return this.readLinkBody(what)
  }

  /** Reads the byte string of a link whose tag has been read, up to the first byte of its binary CID; gives the CID's length. */
  readLinkBody(what: string): number {
    const at = this.position
    const length = this.readBytesHead(MAX_CID_BYTES + 1, what)
    if (length < 2 || this.bytes[this.position] !== 0)
      this.fail('link without its leading zero', at)
    this.position++
    return length - 1
  }

  /** Gives the next `length` bytes as a view, already checked to be there. */
  view(length: number): Uint8Array {
    const { bytes, position } = this
    this.position = position + length
    return new Uint8Array(bytes.buffer, bytes.byteOffset + position, length)
  }

  /** Gives the next `length` bytes as text, already checked to be there. */
  textOf(length: number): string {
    const { bytes, position } = this
    const end = position + length
    this.position = end
    if (length <= SHORT_TEXT_BYTES) {
      let at = position
      while (at < end && (bytes[at] ?? 0x80) < 0x80) at++
      if (at === end) return sliceByteString(bytes, position, end)
    }
    try {
      return utf8.decode(bytes.subarray(position, end))
    } catch {
      return this.fail('text is not utf-8', position)
    }
  }

  /** Reads past the next `length` bytes, which must be text. */
  checkText(length: number): void {
    const { bytes, position } = this
    const end = position + length
    let at = position
    while (at < end && (bytes[at] ?? 0x80) < 0x80) at++
    if (at < end) this.textOf(length)
    else this.position = end
  }

  /** Refuses bytes after the item. */
  expectEnd(): void {
    if (this.position !== this.end) this.fail('trailing bytes')
  }
}
