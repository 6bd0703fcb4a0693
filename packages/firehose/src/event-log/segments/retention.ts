import { syncFolder } from '../../replace-file.ts'
import type { LogTrimOptions } from '../port.ts'
import { SEGMENT_MAGIC } from './record.ts'
import type { SegmentSet } from './segment-set.ts'
import type { SegmentWriter } from './segment-writer.ts'

/** What is to go: everything up to a number. */
export interface Cut {
  readonly through: number
  /** Events that go with it. */
  readonly removed: number
}

/** What retention says goes, given what went before. Whole files are judged without being read. */
export async function findCut(
  segments: SegmentSet,
  trimmedThrough: number,
  { beforeMs = -Infinity, maxBytes = Infinity }: LogTrimOptions,
): Promise<Cut> {
  let bytes = 0
  for (const { frameBytes } of segments) bytes += frameBytes
  let through = trimmedThrough
  let removed = 0
  for (const segment of segments) {
    const { frameBytes, count, lastAtMs, first } = segment
    const allGo = lastAtMs < beforeMs || bytes - frameBytes >= maxBytes
    if (allGo && first > trimmedThrough) {
      bytes -= frameBytes
      removed += count
      through = segment.last
      continue
    }
    for await (const { entry } of segments.entriesOf(segment, SEGMENT_MAGIC.length)) {
      const isGone = entry.seq <= trimmedThrough
      if (!isGone && entry.atMs >= beforeMs && bytes <= maxBytes) return { through, removed }
      bytes -= entry.frame.length
      if (isGone) continue
      through = entry.seq
      removed++
    }
  }
  return { through, removed }
}

/** How many events there are up to a number, above what went before. */
export async function countThrough(
  segments: SegmentSet,
  trimmedThrough: number,
  through: number,
): Promise<number> {
  let count = 0
  for (const segment of segments) {
    if (segment.first > through) break
    for await (const { entry } of segments.entriesOf(segment, SEGMENT_MAGIC.length)) {
      if (entry.seq > through) break
      if (entry.seq > trimmedThrough) count++
    }
  }
  return count
}

/** Removes the files of which nothing is left. */
export async function removeThrough(
  segments: SegmentSet,
  writer: SegmentWriter,
  through: number,
): Promise<void> {
  for (const segment of segments) {
    if (segment.last > through) continue
    await writer.withSealed(segment, async () => {
      // Something may have been appended since.
      if (segment.last <= through) await segments.remove(segment)
    })
  }
  await syncFolder(segments.folder)
}
