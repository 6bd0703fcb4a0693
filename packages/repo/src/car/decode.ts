import { sliceByteString } from '../byte-string.ts'
import { BLESSED_CID_BYTES, type CidKey } from '../cid.ts'
import { InvalidCarError, LimitExceededError } from '../errors.ts'
import { MAX_CAR_BLOCK_BYTES, MAX_CAR_BLOCKS, MAX_CAR_BYTES } from '../limits.ts'
import { decodeCarHeader } from './header.ts'
import { blockMatches, cidLengthAt, isBlessedAt } from './section.ts'
import { type Cursor, readVarint } from './varint.ts'

/** Bounds of reading a CAR. */
export interface CarLimits {
  /** Most bytes of the whole CAR. @defaultValue {@link MAX_CAR_BYTES} */
  readonly maxBytes?: number
  /** Most blocks. @defaultValue {@link MAX_CAR_BLOCKS} */
  readonly maxBlocks?: number
  /** Most bytes of one block. @defaultValue {@link MAX_CAR_BLOCK_BYTES} */
  readonly maxBlockBytes?: number
}

/** A CAR in memory, by key. Blocks are views of the input. */
export interface ParsedCar {
  readonly roots: readonly CidKey[]
  readonly blocks: Map<CidKey, Uint8Array>
}

/**
 * Reads a whole CAR and checks every hash. Blocks under a CID of another kind than the protocol's cannot be checked and are dropped.
 *
 * @throws {InvalidCarError} when the bytes are no CAR v1, a section is truncated, empty or over-long, or a block does not match its CID.
 * @throws {LimitExceededError} when a bound is passed.
 */
export function parseCar(bytes: Uint8Array, limits: CarLimits = {}): ParsedCar {
  const { roots, start } = openCar(bytes, limits)
  const blocks = new Map<CidKey, Uint8Array>()
  const cursor: Cursor = { at: start }
  const maxBlocks = limits.maxBlocks ?? MAX_CAR_BLOCKS
  let count = 0
  while (cursor.at < bytes.length) {
    if (++count > maxBlocks) throw new LimitExceededError('carBlocks', maxBlocks, count)
    readSection(bytes, cursor, limits, blocks)
  }
  return { roots, blocks }
}

/** Reads the header of a CAR and gives its roots and where the first section begins. */
export function openCar(
  bytes: Uint8Array,
  limits: CarLimits = {},
): { readonly roots: readonly CidKey[]; readonly start: number } {
  const { maxBytes = MAX_CAR_BYTES } = limits
  if (bytes.length > maxBytes) throw new LimitExceededError('carBytes', maxBytes, bytes.length)
  const cursor: Cursor = { at: 0 }
  const length = readVarint(bytes, cursor, bytes.length)
  const start = cursor.at
  if (length === 0 || length > bytes.length - start)
    throw new InvalidCarError('truncated header', 0)
  return { roots: decodeCarHeader(bytes, start, start + length), start: start + length }
}

/** Reads one section at the cursor into `blocks`, its hash checked. */
export function readSection(
  bytes: Uint8Array,
  cursor: Cursor,
  limits: CarLimits,
  blocks: Map<CidKey, Uint8Array>,
): void {
  const { maxBlockBytes = MAX_CAR_BLOCK_BYTES } = limits
  const sectionAt = cursor.at
  const length = readVarint(bytes, cursor, bytes.length)
  const start = cursor.at
  const end = start + length
  if (length === 0) throw new InvalidCarError('empty section', sectionAt)
  if (end > bytes.length) throw new InvalidCarError('truncated', sectionAt)
  cursor.at = end
  const blessed = length >= BLESSED_CID_BYTES && isBlessedAt(bytes, start)
  const cidLength = blessed ? BLESSED_CID_BYTES : cidLengthAt(bytes, start, end)
  const size = length - cidLength
  if (size > maxBlockBytes) throw new LimitExceededError('carBlockBytes', maxBlockBytes, size)
  if (!blessed) return
  const block = new Uint8Array(bytes.buffer, bytes.byteOffset + start + cidLength, size)
  if (!blockMatches(bytes, start, block)) {
    throw new InvalidCarError('block does not match its cid', sectionAt)
  }
  blocks.set(sliceByteString(bytes, start, start + BLESSED_CID_BYTES), block)
}
