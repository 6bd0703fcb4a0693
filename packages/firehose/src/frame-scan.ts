import { InvalidFrameError } from './errors.ts'

/** Deepest nesting a frame may have; DAG-CBOR of the protocol stays below it. */
const MAX_DEPTH = 32
/** Longest key or short text the scanner turns into a string. */
const MAX_TEXT_BYTES = 8_192

/**
 * A position in DAG-CBOR bytes that can read what it is asked for and step over everything else.
 *
 * It builds no values it does not need: a five-kilobyte `#commit` is scanned without touching its blocks. It checks
 * bounds and depth but not canonical form, which is the decoder's work.
 */
export class FrameScanner {
  readonly bytes: Uint8Array
  at: number
  /** Major type of the head read last. */
  major = 0
  /** Argument of the head read last: a value, a length, a count or a tag. */
  argument = 0

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  /** Reads one head into {@link major} and {@link argument}. */
  head(): void {
    const { bytes } = this
    const initial = this.byte()
    this.major = initial >> 5
    const low = initial & 31
    if (low < 24) this.argument = low
    else if (low === 24) this.argument = this.byte()
    else if (low === 25) this.argument = this.byte() * 256 + this.byte()
    else if (low === 26) this.argument = this.uint32()
    else if (low === 27) this.argument = this.uint32() * 4_294_967_296 + this.uint32()
    else throw new InvalidFrameError('indefinite length')
    if (this.major >= 2 && this.major <= 3 && this.argument > bytes.length - this.at) {
      throw new InvalidFrameError('truncated')
    }
  }

  /** Reads a map head and gives its entry count. */
  map(): number {
    this.head()
    if (this.major !== 5 || this.argument > this.bytes.length - this.at) {
      throw new InvalidFrameError('expected a map')
    }
    return this.argument
  }

  /** Reads an array head and gives its length. */
  array(): number {
    this.head()
    if (this.major !== 4 || this.argument > this.bytes.length - this.at) {
      throw new InvalidFrameError('expected an array')
    }
    return this.argument
  }

  /** Reads a text item of moderate length. */
  text(): string {
    this.head()
    if (this.major !== 3) throw new InvalidFrameError('expected text')
    if (this.argument > MAX_TEXT_BYTES) throw new InvalidFrameError('text too long')
    const end = this.at + this.argument
    const value = readText(this.bytes, this.at, end)
    this.at = end
    return value
  }

  /** Reads an integer item. */
  integer(): number {
    this.head()
    const value = this.major === 0 ? this.argument : -1 - this.argument
    if (this.major > 1 || !Number.isSafeInteger(value)) {
      throw new InvalidFrameError('expected an integer')
    }
    return value
  }

  /** Whether the next item is of this major type. */
  next(major: number): boolean {
    return (this.bytes[this.at] ?? 0xff) >> 5 === major
  }

  /** Steps over one item of any kind. */
  skip(depth = 0): undefined {
    if (depth > MAX_DEPTH) throw new InvalidFrameError('nested too deeply')
    this.head()
    switch (this.major) {
      case 2:
      case 3:
        this.at += this.argument
        return
      case 4:
      case 5: {
        const count = this.argument * (this.major - 3)
        if (count > this.bytes.length - this.at) throw new InvalidFrameError('truncated')
        for (let i = 0; i < count; i++) this.skip(depth + 1)
        return
      }
      case 6:
        this.skip(depth + 1)
        return
      default:
    }
  }

  private byte(): number {
    const value = this.bytes[this.at]
    if (value === undefined) throw new InvalidFrameError('truncated')
    this.at++
    return value
  }

  private uint32(): number {
    return ((this.byte() << 24) | (this.byte() << 16) | (this.byte() << 8) | this.byte()) >>> 0
  }
}

const UTF8: TextDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Short ASCII is built character by character, which is several times faster than a decoder call. */
function readText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= 40) {
    let text = ''
    for (let i = start; i < end; i++) {
      const code = bytes[i] ?? 0
      if (code > 127) return decodeUtf8(bytes, start, end)
      text += String.fromCharCode(code)
    }
    return text
  }
  return decodeUtf8(bytes, start, end)
}

function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  try {
    return UTF8.decode(bytes.subarray(start, end))
  } catch (cause) {
    throw new InvalidFrameError('text is not UTF-8', { cause })
  }
}

/** Length of the smallest CBOR encoding of an unsigned integer. */
export function uintLength(value: number): number {
  if (value < 24) return 1
  if (value < 0x100) return 2
  if (value < 0x1_0000) return 3
  return value < 0x1_0000_0000 ? 5 : 9
}

/** Writes the smallest CBOR encoding of an unsigned integer at `at`. */
export function writeUint(target: Uint8Array, at: number, value: number): void {
  const length = uintLength(value)
  if (length === 1) {
    target[at] = value
    return
  }
  target[at] = length === 2 ? 24 : length === 3 ? 25 : length === 5 ? 26 : 27
  let rest = value
  for (let i = length - 1; i > 0; i--) {
    target[at + i] = rest % 256
    rest = Math.floor(rest / 256)
  }
}
