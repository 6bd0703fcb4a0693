import { concat } from 'uint8arrays/concat'
import { sliceByteString } from '../byte-string.ts'
import { BLESSED_CID_BYTES, type CidKey } from '../cid.ts'
import { InvalidCarError, LimitExceededError } from '../errors.ts'
import { MAX_CAR_BLOCK_BYTES, MAX_CAR_HEADER_BYTES } from '../limits.ts'
import { type ByteSource, ChunkReader } from './chunk-reader.ts'
import type { CarLimits } from './decode.ts'
import { decodeCarHeader } from './header.ts'
import { blockMatches, cidLengthAt, isBlessedAt } from './section.ts'
import { type Cursor, readVarint, varintLength } from './varint.ts'

/** A block read from a stream; the bytes may be a view of the chunk they came in. */
export interface CarSection {
  readonly key: CidKey
  readonly bytes: Uint8Array
}

/** Options of {@link readCar}. */
export interface ReadCarOptions extends CarLimits {
  readonly signal?: AbortSignal | undefined
}

/** Reads a CAR from a source section by section, holding no more than one section and one chunk. */
export class CarStream {
  private readonly chunks: ChunkReader
  private readonly maxBlockBytes: number
  private readonly maxBytes: number
  private readonly maxBlocks: number
  private buffer: Uint8Array = new Uint8Array(0)
  private at = 0
  /** Bytes of the source before the buffer. */
  private passed = 0
  /** What of the last chunk lies behind the buffer. */
  private rest: Uint8Array | undefined
  private pulled = 0
  private blocks = 0

  constructor(source: Uint8Array | ByteSource, options: ReadCarOptions = {}) {
    const {
      maxBytes = Infinity,
      maxBlocks = Infinity,
      maxBlockBytes = MAX_CAR_BLOCK_BYTES,
      signal,
    } = options
    this.chunks = new ChunkReader(source, signal)
    this.maxBytes = maxBytes
    this.maxBlocks = maxBlocks
    this.maxBlockBytes = maxBlockBytes
  }

  /** Reads the header and gives the roots. Must come first. */
  async readHeader(): Promise<readonly CidKey[]> {
    const length = await this.readLength()
    if (length === undefined || length === 0) this.fail('truncated header')
    if (length > MAX_CAR_HEADER_BYTES) this.fail('header too long')
    if (!(await this.fill(length))) this.fail('truncated header')
    const roots = decodeCarHeader(this.buffer, this.at, this.at + length)
    this.at += length
    return roots
  }

  /** Reads the next block and checks its hash; undefined at the end. Blocks under CIDs of other kinds are passed over. */
  async next(): Promise<CarSection | undefined> {
    for (;;) {
      const length = await this.readLength()
      if (length === undefined) return undefined
      this.checkLength(length)
      if (!(await this.fill(length))) this.fail('truncated')
      const section = this.takeSection(length)
      if (section !== undefined) return section
    }
  }

  /** {@link next} as far as it needs no waiting; undefined when it does, which may be because the end is reached. */
  nextNow(): CarSection | undefined {
    for (;;) {
      const { buffer, at } = this
      if (varintLength(buffer, at) === undefined) return undefined
      const cursor: Cursor = { at }
      const length = this.readVarintAt(cursor)
      if (buffer.length - cursor.at < length) return undefined
      this.checkLength(length)
      this.at = cursor.at
      const section = this.takeSection(length)
      if (section !== undefined) return section
    }
  }

  private checkLength(length: number): void {
    if (++this.blocks > this.maxBlocks) {
      throw new LimitExceededError('carBlocks', this.maxBlocks, this.blocks)
    }
    if (length === 0) this.fail('empty section')
    // Checked against the largest CID before a byte of the block is waited for.
    if (length > this.maxBlockBytes + 128) {
      throw new LimitExceededError('carBlockBytes', this.maxBlockBytes, length)
    }
  }

  /** Takes a section that is in the buffer; undefined when its CID is of another kind. */
  private takeSection(length: number): CarSection | undefined {
    const { buffer, at: start } = this
    const end = start + length
    this.at = end
    const blessed = length >= BLESSED_CID_BYTES && isBlessedAt(buffer, start)
    const cidLength = blessed ? BLESSED_CID_BYTES : cidLengthAt(buffer, start, end)
    if (length - cidLength > this.maxBlockBytes) {
      throw new LimitExceededError('carBlockBytes', this.maxBlockBytes, length - cidLength)
    }
    if (!blessed) return undefined
    const bytes = buffer.subarray(start + cidLength, end)
    if (!blockMatches(buffer, start, bytes)) this.fail('block does not match its cid')
    return { key: sliceByteString(buffer, start, start + cidLength), bytes }
  }

  /** Releases the source. */
  async close(): Promise<void> {
    await this.chunks.close()
  }

  private fail(reason: string): never {
    throw new InvalidCarError(reason, this.passed + this.at)
  }

  /** Reads a varint; undefined when the source ends before it begins. */
  private async readLength(): Promise<number | undefined> {
    for (let wanted = 1; ; wanted++) {
      const size = varintLength(this.buffer, this.at)
      if (size !== undefined) break
      if (await this.fill(wanted)) continue
      if (this.at === this.buffer.length) return undefined
      this.fail('truncated')
    }
    const cursor: Cursor = { at: this.at }
    const length = this.readVarintAt(cursor)
    this.at = cursor.at
    return length
  }

  private readVarintAt(cursor: Cursor): number {
    return readVarint(this.buffer, cursor, this.buffer.length)
  }

  /** Makes the next `wanted` bytes available in one piece; false when the source ends before them. */
  private async fill(wanted: number): Promise<boolean> {
    while (this.buffer.length - this.at < wanted) {
      const available = this.buffer.length - this.at
      if (available > 0) return this.bridge(wanted)
      const chunk = await this.pull()
      if (chunk === undefined) return false
      this.passed += this.at
      this.buffer = chunk
      this.at = 0
    }
    return true
  }

  /** Joins the rest of the buffer with just as much of what follows as is wanted. */
  private async bridge(wanted: number): Promise<boolean> {
    const piece = new Uint8Array(wanted)
    piece.set(this.buffer.subarray(this.at))
    let filled = this.buffer.length - this.at
    while (filled < wanted) {
      const chunk = await this.pull()
      if (chunk === undefined) break
      const taken = Math.min(chunk.length, wanted - filled)
      piece.set(chunk.subarray(0, taken), filled)
      filled += taken
      if (taken < chunk.length) this.rest = chunk.subarray(taken)
    }
    this.passed += this.at
    this.buffer = filled < wanted ? piece.subarray(0, filled) : piece
    this.at = 0
    return filled === wanted
  }

  /** Gives the next bytes of the source; undefined at its end. */
  private async pull(): Promise<Uint8Array | undefined> {
    const { rest } = this
    if (rest !== undefined) {
      this.rest = undefined
      return rest
    }
    for (;;) {
      const chunk = await this.chunks.next()
      if (chunk === undefined) return undefined
      this.pulled += chunk.length
      if (this.pulled > this.maxBytes) {
        throw new LimitExceededError('carBytes', this.maxBytes, this.pulled)
      }
      if (chunk.length > 0) return chunk
    }
  }
}

/**
 * Gathers a source into one array.
 *
 * @throws {LimitExceededError} when it has more than `maxBytes`; nothing more is read then.
 */
export async function gatherBytes(
  source: ByteSource,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const chunks = new ChunkReader(source, signal)
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const part = await chunks.next()
      if (part === undefined) break
      length += part.length
      if (length > maxBytes) throw new LimitExceededError('carBytes', maxBytes, length)
      parts.push(part)
    }
  } finally {
    await chunks.close()
  }
  const [only] = parts
  return only !== undefined && parts.length === 1 ? only : concat(parts, length)
}

/** Makes leaving the generator release the stream even when nothing was taken from it. */
export function releasing<T>(
  items: AsyncGenerator<T, void, void>,
  stream: CarStream,
): AsyncGenerator<T, void, void> {
  const leave = items.return.bind(items)
  return Object.assign(items, {
    async return(): Promise<IteratorResult<T, void>> {
      await stream.close()
      return leave()
    },
  })
}
