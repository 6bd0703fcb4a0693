import { open, rename, type FileHandle } from 'node:fs/promises'
import { LogCorruptError } from '../../errors.ts'
import { findRecord, readRecord, SEGMENT_MAGIC, type SegmentEntry } from './record.ts'

/** Bytes between two entries of the index in memory. */
const INDEX_STEP_BYTES = 65_536
/** Bytes read from a file at once. */
const CHUNK_BYTES = 1_048_576
/** Bytes looked at behind a damaged record for the next one that holds: more than two of the largest. */
const MAX_SEARCH_BYTES = 12_582_912

/** What is known of a segment without reading it. */
export interface SegmentInfo {
  readonly path: string
  /** Lowest number it may hold; in its name. */
  readonly first: number
  /** Highest number it holds; `first - 1` when it is empty. */
  last: number
  /** Moment of the newest event. */
  lastAtMs: number
  /** Good bytes in the file. */
  size: number
  /** Events in the file. */
  count: number
  /** Bytes of frames. */
  frameBytes: number
  /** Every so often: a number, and where the record behind it starts. */
  readonly index: { readonly after: number; readonly afterMs: number; readonly offset: number }[]
}

/** An empty segment that starts with the next number. */
export function newSegmentInfo(path: string, first: number): SegmentInfo {
  return {
    path,
    first,
    last: first - 1,
    lastAtMs: -Infinity,
    size: SEGMENT_MAGIC.length,
    count: 0,
    frameBytes: 0,
    index: [],
  }
}

/** Takes note of a record of `bytes` bytes appended to the segment. */
export function noteEntry(info: SegmentInfo, entry: SegmentEntry, bytes: number): void {
  const newest = info.index.at(-1)
  if (newest === undefined || info.size - newest.offset >= INDEX_STEP_BYTES) {
    info.index.push({ after: info.last, afterMs: info.lastAtMs, offset: info.size })
  }
  info.last = entry.seq
  info.lastAtMs = Math.max(info.lastAtMs, entry.atMs)
  info.size += bytes
  info.count++
  info.frameBytes += entry.frame.length
}

/** Where to start reading for the first event at or after a moment, and the number before that place. */
export function placeBefore(
  { index, first }: SegmentInfo,
  atMs: number,
): { readonly offset: number; readonly after: number } {
  let place = { offset: SEGMENT_MAGIC.length, after: first - 1 }
  for (const mark of index) {
    if (mark.afterMs >= atMs) break
    place = mark
  }
  return place
}

/** Where to start reading for the first number above `after`. */
export function offsetAfter({ index }: SegmentInfo, after: number): number {
  let offset = SEGMENT_MAGIC.length
  for (const mark of index) {
    if (mark.after > after) break
    offset = mark.offset
  }
  return offset
}

/** A stored event and where its record stands in the file. */
export interface PlacedEntry {
  readonly entry: SegmentEntry
  readonly offset: number
  readonly bytes: number
}

/**
 * Records from an offset to the end of the good part. Frames are views of what was read from the file, valid for as
 * long as anybody keeps them.
 *
 * A record that does not hold is stepped over, to the next one that does: one flipped bit costs one event.
 *
 * @param damaged told of each record that does not hold.
 */
export async function* readSegment(
  file: FileHandle,
  from: number,
  size: number,
  damaged: (offset: number) => void,
): AsyncGenerator<PlacedEntry, void, void> {
  let offset = from
  let want = CHUNK_BYTES
  while (offset < size) {
    const chunk = new Uint8Array(Math.min(want, size - offset))
    const { bytesRead } = await file.read(chunk, 0, chunk.length, offset)
    const bytes = chunk.subarray(0, bytesRead)
    const isLast = offset + bytesRead >= size || bytesRead < chunk.length
    let at = 0
    want = CHUNK_BYTES
    while (at < bytes.length) {
      const read = readRecord(bytes, at)
      if (read.kind === 'entry') {
        yield { entry: read.entry, offset: offset + at, bytes: read.end - at }
        at = read.end
        continue
      }
      if (read.kind === 'short' && !isLast && offset + at + read.need <= size) {
        want = Math.max(CHUNK_BYTES, read.need)
        break
      }
      if (!isLast && bytes.length < MAX_SEARCH_BYTES) {
        // The next good record may begin behind this chunk: look at more at once.
        want = MAX_SEARCH_BYTES
        break
      }
      damaged(offset + at)
      const next = findRecord(bytes, at + 1)
      if (next === undefined) return
      at = next
    }
    offset += at
  }
}

/** Finds out what a segment holds, reading all of it. A damaged tail is not counted into its size. */
export async function scanSegment(
  path: string,
  first: number,
  damaged: (offset: number) => void,
): Promise<SegmentInfo> {
  const info = newSegmentInfo(path, first)
  await using file = await open(path, 'r')
  const { size } = await file.stat()
  const magic = new Uint8Array(SEGMENT_MAGIC.length)
  await file.read(magic, 0, magic.length, 0)
  if (size < magic.length || magic.some((byte, i) => byte !== SEGMENT_MAGIC[i])) {
    // Cut off before its first record was acknowledged.
    if (size < magic.length) return { ...info, size: 0 }
    throw new LogCorruptError('not a segment of this version')
  }
  for await (const { entry, offset, bytes } of readSegment(
    file,
    SEGMENT_MAGIC.length,
    size,
    damaged,
  )) {
    if (entry.seq <= info.last) {
      damaged(offset)
      continue
    }
    info.size = offset
    noteEntry(info, entry, bytes)
  }
  return info
}

/** Writes the entries that stay into a new file. The old one is the caller's to remove. `keep` is asked once for each. */
export async function rewriteSegment(
  info: SegmentInfo,
  path: string,
  keep: (entry: SegmentEntry) => boolean,
  encode: (entry: SegmentEntry) => Uint8Array,
): Promise<SegmentInfo> {
  const next = newSegmentInfo(path, info.first)
  const temporary = `${path}.tmp`
  {
    await using source = await open(info.path, 'r')
    await using target = await open(temporary, 'w')
    await target.write(SEGMENT_MAGIC)
    for await (const { entry } of readSegment(
      source,
      SEGMENT_MAGIC.length,
      info.size,
      () => undefined,
    )) {
      if (!keep(entry)) continue
      const bytes = encode(entry)
      await target.write(bytes)
      noteEntry(next, entry, bytes.length)
    }
    await target.sync()
  }
  await rename(temporary, path)
  // Numbers are never used again, also when the newest event is gone.
  next.last = info.last
  next.lastAtMs = info.lastAtMs
  return next
}
