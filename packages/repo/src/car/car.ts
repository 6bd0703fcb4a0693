import { BlockMap } from '../block-map.ts'
import { type Cid, cidFromKey, cidKey, type CidKey } from '../cid.ts'
import type { Block } from '../repo-store.ts'
import { type CarLimits, parseCar } from './decode.ts'
import { formatCar, formatCarHead, sectionBytes, writeSection } from './encode.ts'
import type { ByteSource } from './chunk-reader.ts'
import { CarStream, type ReadCarOptions, releasing } from './stream.ts'

/** A CAR in memory. */
export interface Car {
  /** At least one; the first is the commit. */
  readonly roots: readonly Cid[]
  /** Every block, its hash checked; views of the input. */
  readonly blocks: BlockMap
}

/**
 * Gives the contents of a CAR in memory, every hash checked. Blocks under CIDs of kinds the protocol does not use cannot be
 * checked and are left out; of blocks that come twice one is kept.
 *
 * @throws {InvalidCarError} when the bytes are no CAR v1 with a root, are truncated, or a block does not match its CID.
 * @throws {LimitExceededError} when a bound is passed.
 * @see {@link https://atproto.com/specs/repository#car-file-serialization}
 */
export function decodeCar(bytes: Uint8Array, limits: CarLimits = {}): Car {
  const { roots, blocks } = parseCar(bytes, limits)
  return { roots: roots.map((root) => cidFromKey(root)), blocks: new BlockMap(blocks) }
}

/** Gives the CAR of these blocks, in their order. The caller vouches that they hash to their CIDs. */
export function encodeCar(roots: readonly Cid[], blocks: Iterable<Block>): Uint8Array {
  const pairs: [CidKey, Uint8Array][] = []
  for (const { cid, bytes } of blocks) pairs.push([cidKey(cid), bytes])
  return formatCar(roots.map(cidKey), pairs)
}

/** A CAR being read. */
export interface CarReader {
  readonly roots: readonly Cid[]
  /** Blocks as they come, every hash checked, duplicates included; bytes may be views of the chunks. Leaving the loop releases the source; whoever does not loop calls `blocks.return()`. */
  readonly blocks: AsyncGenerator<Block, void, void>
}

/**
 * Reads a CAR from a source, holding one block at a time.
 *
 * @throws {InvalidCarError} (from here or from the blocks) when the source is no CAR v1 with a root, ends early, or a block does not match its CID.
 * @throws {LimitExceededError} when a bound is passed; `maxBytes` and `maxBlocks` are unbounded unless given.
 */
export async function readCar(
  source: Uint8Array | ByteSource,
  options: ReadCarOptions = {},
): Promise<CarReader> {
  const stream = new CarStream(source, options)
  try {
    const roots = await stream.readHeader()
    return {
      roots: roots.map((root) => cidFromKey(root)),
      blocks: releasing(readBlocks(stream), stream),
    }
  } catch (error) {
    await stream.close()
    throw error
  }
}

async function* readBlocks(stream: CarStream): AsyncGenerator<Block, void, void> {
  try {
    for (;;) {
      const section = stream.nextNow() ?? (await stream.next())
      if (section === undefined) return
      yield { cid: cidFromKey(section.key), bytes: section.bytes }
    }
  } finally {
    await stream.close()
  }
}

/** Bytes gathered before a chunk is given. */
const CHUNK_BYTES = 65_536

/** Writes a CAR as chunks of about 64 KB; a block is asked for only when the chunks before were taken. */
export async function* writeCar(
  roots: readonly Cid[],
  blocks: Iterable<Block> | AsyncIterable<Block>,
): AsyncGenerator<Uint8Array, void, void> {
  yield formatCarHead(roots.map(cidKey))
  let pending: [CidKey, Uint8Array][] = []
  let size = 0
  for await (const { cid, bytes } of blocks) {
    const key = cidKey(cid)
    pending.push([key, bytes])
    size += sectionBytes(key, bytes)
    if (size < CHUNK_BYTES) continue
    yield joinSections(pending, size)
    pending = []
    size = 0
  }
  if (size > 0) yield joinSections(pending, size)
}

/** Gives the sections of these blocks, `size` bytes together. */
export function joinSections(
  blocks: readonly (readonly [CidKey, Uint8Array])[],
  size: number,
): Uint8Array {
  const chunk = new Uint8Array(size)
  let at = 0
  for (const [key, bytes] of blocks) at = writeSection(chunk, at, key, bytes)
  return chunk
}
