/**
 * The strict CBOR of the AT Protocol (DRISL without floats) to and from plain values.
 *
 * *Values*: `null`, booleans, safe integers, strings, `Uint8Array`, CIDs (links), arrays, plain objects.
 *
 * *Guarantees*: what {@link decodeCbor} accepts in strict mode, {@link encodeCbor} writes back byte for byte; what
 * {@link encodeCbor} writes, {@link decodeCbor} accepts.
 *
 * *Tricky parts*: map keys order by UTF-8 length, then bytes, which is not how JavaScript compares strings; `__proto__` is a
 * key like any other; decoded byte strings are views of the input.
 *
 * @see {@link https://atproto.com/specs/data-model}
 * @packageDocumentation
 */
import {
  CborReader,
  MAJOR_ARRAY,
  MAJOR_BYTES,
  MAJOR_MAP,
  MAJOR_NEGATIVE,
  MAJOR_TAG,
  MAJOR_TEXT,
  MAJOR_UNSIGNED,
} from './cbor-reader.ts'
import { cidFromForeignBytes } from './cid.ts'
import { InvalidCborError, InvalidCidError, LimitExceededError } from './errors.ts'
import { MAX_CBOR_BYTES, MAX_CONTAINER_ITEMS, MAX_NESTING, MAX_OBJECT_KEY_BYTES } from './limits.ts'

export { CborReader } from './cbor-reader.ts'
export { encodeCbor, encodeCborSequence } from './encode-cbor.ts'
export { InvalidCborError, LimitExceededError } from './errors.ts'

/** How {@link decodeCbor} treats what is well-formed but not canonical. */
export interface DecodeCborOptions {
  /**
   * `strict` takes only the canonical form the protocol prescribes. `tolerant` also takes floats, unsorted map keys, longer
   * heads than needed, empty map keys and integers beyond 53 bits (as `bigint`); it still refuses duplicate keys, indefinite
   * lengths, `undefined`, foreign tags, bad UTF-8, trailing bytes and everything over a bound. Use it to look at records
   * others stored; what it gives may not encode to the same bytes.
   *
   * @defaultValue 'strict'
   */
  readonly mode?: 'strict' | 'tolerant'
  /** Most bytes of input. @defaultValue {@link MAX_CBOR_BYTES} */
  readonly maxBytes?: number
}

/**
 * Gives the value of exactly one CBOR item. Byte strings in the result are views of `bytes`.
 *
 * @throws {InvalidCborError} when the bytes are not one item of the chosen mode, or bytes follow it.
 * @throws {LimitExceededError} when there are more than `maxBytes`.
 */
export function decodeCbor(bytes: Uint8Array, options: DecodeCborOptions = {}): unknown {
  const { mode = 'strict', maxBytes = MAX_CBOR_BYTES } = options
  if (bytes.length > maxBytes) throw new LimitExceededError('cborBytes', maxBytes, bytes.length)
  const strict = mode === 'strict'
  const reader = new CborReader(bytes, 0, bytes.length, { shortest: strict })
  const value = readValue(reader, strict, 0)
  reader.expectEnd()
  return value
}

/**
 * Gives the value of the strict CBOR item at `offset` and where it ends, whatever follows. Event frames are two items in a row.
 *
 * @throws {InvalidCborError} when no canonical item begins at `offset`.
 * @throws {LimitExceededError} when there are more than {@link MAX_CBOR_BYTES} bytes from `offset` on.
 */
export function decodeCborPrefix(
  bytes: Uint8Array,
  offset = 0,
): { readonly value: unknown; readonly end: number } {
  if (bytes.length - offset > MAX_CBOR_BYTES) {
    throw new LimitExceededError('cborBytes', MAX_CBOR_BYTES, bytes.length - offset)
  }
  const reader = new CborReader(bytes, offset)
  const value = readValue(reader, true, 0)
  return { value, end: reader.position }
}

/**
 * Checks that `bytes` are exactly one canonical item without building its value.
 *
 * @throws {InvalidCborError} when they are not.
 * @throws {LimitExceededError} when there are more than `maxBytes`.
 */
export function checkCbor(bytes: Uint8Array, options: { readonly maxBytes?: number } = {}): void {
  const { maxBytes = MAX_CBOR_BYTES } = options
  if (bytes.length > maxBytes) throw new LimitExceededError('cborBytes', maxBytes, bytes.length)
  const reader = new CborReader(bytes)
  skipValue(reader, 0)
  reader.expectEnd()
}

function readValue(reader: CborReader, strict: boolean, depth: number): unknown {
  const at = reader.position
  const argument = reader.readHead()
  switch (reader.major) {
    case MAJOR_UNSIGNED:
      if (!reader.wide) return argument
      return strict ? reader.fail('integer beyond 53 bits', at) : reader.wideArgument()
    case MAJOR_NEGATIVE:
      if (!reader.wide && argument < Number.MAX_SAFE_INTEGER) return -1 - argument
      return strict ? reader.fail('integer beyond 53 bits', at) : -1n - reader.wideArgument()
    case MAJOR_BYTES:
      checkLength(reader, argument, at)
      return reader.view(argument)
    case MAJOR_TEXT:
      checkLength(reader, argument, at)
      return reader.textOf(argument)
    case MAJOR_ARRAY: {
      checkCount(reader, argument, 1, depth, at)
      const items: unknown[] = []
      for (let i = 0; i < argument; i++) items.push(readValue(reader, strict, depth + 1))
      return items
    }
    case MAJOR_MAP: {
      checkCount(reader, argument, 2, depth, at)
      return readMap(reader, argument, strict, depth)
    }
    case MAJOR_TAG: {
      if (argument !== 42 || reader.wide) reader.fail('tag not allowed', at)
      const length = reader.readLinkBody('link')
      try {
        return cidFromForeignBytes(reader.view(length))
      } catch (cause) {
        if (cause instanceof InvalidCidError) {
          throw new InvalidCborError(`link: ${cause.reason}`, at, { cause })
        }
        throw cause
      }
    }
    default:
      return readSimple(reader, argument, strict, at)
  }
}

function readSimple(reader: CborReader, info: number, strict: boolean, at: number): unknown {
  if (info === 20) return false
  if (info === 21) return true
  if (info === 22) return null
  if (info === 31) reader.fail('break outside an indefinite length', at)
  if (info < 25 || info > 27) reader.fail('simple value not allowed', at)
  if (strict) reader.fail('float not allowed', at)
  const width = 1 << (info - 24)
  checkLength(reader, width, at)
  const view = reader.view(width)
  const data = new DataView(view.buffer, view.byteOffset, width)
  if (width === 8) return data.getFloat64(0)
  return width === 4 ? data.getFloat32(0) : halfFloat(data.getUint16(0))
}

function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (fraction + 1024) * 2 ** (exponent - 25)
}

function readMap(
  reader: CborReader,
  count: number,
  strict: boolean,
  depth: number,
): Record<string, unknown> {
  const map: Record<string, unknown> = {}
  let previousStart = 0
  let previousLength = -1
  for (let i = 0; i < count; i++) {
    const at = reader.position
    const length = readKeyHead(reader)
    const start = reader.position
    if (strict) {
      checkKeyOrder(reader, previousStart, previousLength, start, length)
      previousStart = start
      previousLength = length
    }
    const key = reader.textOf(length)
    if (!strict && Object.hasOwn(map, key)) reader.fail('duplicate map key', at)
    const value = readValue(reader, strict, depth + 1)
    if (key === '__proto__') {
      // Plain assignment would call the inherited setter and lose the entry.
      Object.defineProperty(map, key, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    } else {
      map[key] = value
    }
  }
  return map
}

/** Reads the head of a map key and gives its length in bytes, checked to be there. */
function readKeyHead(reader: CborReader): number {
  const at = reader.position
  const length = reader.readHead()
  if (reader.major !== MAJOR_TEXT) reader.fail('map key is not text', at)
  if (length > MAX_OBJECT_KEY_BYTES) reader.fail('map key too long', at)
  checkLength(reader, length, at)
  return length
}

function checkKeyOrder(
  reader: CborReader,
  previousStart: number,
  previousLength: number,
  start: number,
  length: number,
): void {
  if (length > previousLength) {
    if (length === 0) reader.fail('empty map key', start)
    return
  }
  if (length < previousLength) reader.fail('map keys not in order', start)
  const { bytes } = reader
  for (let i = 0; i < length; i++) {
    const before = bytes[previousStart + i] ?? 0
    const now = bytes[start + i] ?? 0
    if (before < now) return
    if (before > now) reader.fail('map keys not in order', start)
  }
  reader.fail('duplicate map key', start)
}

function checkLength(reader: CborReader, length: number, at: number): void {
  if (reader.wide || length > reader.end - reader.position) reader.fail('truncated', at)
}

function checkCount(
  reader: CborReader,
  count: number,
  bytesEach: number,
  depth: number,
  at: number,
): void {
  if (depth >= MAX_NESTING) reader.fail('nested too deeply', at)
  if (reader.wide || count * bytesEach > reader.end - reader.position) reader.fail('truncated', at)
  if (count > MAX_CONTAINER_ITEMS) reader.fail('too many items', at)
}

/** Reads past one canonical item, checking it. */
export function skipCborItem(reader: CborReader): void {
  skipValue(reader, 0)
}

function skipValue(reader: CborReader, depth: number): void {
  const at = reader.position
  const argument = reader.readHead()
  switch (reader.major) {
    case MAJOR_UNSIGNED:
      if (reader.wide) reader.fail('integer beyond 53 bits', at)
      return
    case MAJOR_NEGATIVE:
      if (reader.wide || argument >= Number.MAX_SAFE_INTEGER)
        reader.fail('integer beyond 53 bits', at)
      return
    case MAJOR_BYTES:
      checkLength(reader, argument, at)
      reader.position += argument
      return
    case MAJOR_TEXT:
      checkLength(reader, argument, at)
      reader.checkText(argument)
      return
    case MAJOR_ARRAY:
      checkCount(reader, argument, 1, depth, at)
      for (let i = 0; i < argument; i++) skipValue(reader, depth + 1)
      return
    case MAJOR_MAP: {
      checkCount(reader, argument, 2, depth, at)
      let previousStart = 0
      let previousLength = -1
      for (let i = 0; i < argument; i++) {
        const length = readKeyHead(reader)
        const start = reader.position
        checkKeyOrder(reader, previousStart, previousLength, start, length)
        previousStart = start
        previousLength = length
        reader.checkText(length)
        skipValue(reader, depth + 1)
      }
      return
    }
    default:
      // Links and simple values are rare and small: their checks are those of reading them.
      reader.position = at
      readValue(reader, true, depth)
  }
}
