import { open, type FileHandle } from 'node:fs/promises'
import { LogCorruptError } from '../../errors.ts'
import { syncFolder } from '../../replace-file.ts'
import { SEGMENT_MAGIC, type SegmentEntry } from './record.ts'
import type { SegmentSet } from './segment-set.ts'
import { newSegmentInfo, noteEntry, type SegmentInfo } from './segment.ts'

/** Most buffers the system takes in one call. */
const MAX_VECTORS = 512

export interface SegmentWriterOptions {
  readonly segments: SegmentSet
  /** Bytes above which a file is closed. */
  readonly segmentBytes: number
  /** Told of a segment that will not be appended to any more. */
  readonly onFull: (segment: SegmentInfo) => void
}

/** Appends to the newest segment, and begins the next one. */
export class SegmentWriter {
  private readonly options: SegmentWriterOptions
  /** The file appended to. It belongs to the writer alone, who notices when the segment is no longer the newest. */
  private active: { readonly info: SegmentInfo; readonly file: FileHandle } | undefined
  /** Not to be appended to: it is being replaced or removed. */
  private sealed: SegmentInfo | undefined
  private appending: Promise<void> = Promise.resolve()

  constructor(options: SegmentWriterOptions) {
    this.options = options
  }

  /** Writes entries, given with their records, and makes them durable. Calls must not overlap. */
  append(entries: readonly SegmentEntry[], records: readonly Uint8Array[]): Promise<void> {
    this.appending = this.write(entries, records)
    return this.appending
  }

  /** Keeps the writer away from a file: what comes meanwhile goes into a new one. */
  async withSealed(segment: SegmentInfo, work: () => Promise<void>): Promise<void> {
    this.sealed = segment
    try {
      await this.appending.catch(() => undefined)
      await work()
    } finally {
      this.sealed = undefined
    }
  }

  async close(): Promise<void> {
    await this.active?.file.close()
  }

  private async write(
    entries: readonly SegmentEntry[],
    records: readonly Uint8Array[],
  ): Promise<void> {
    const [firstEntry] = entries
    if (firstEntry === undefined) return
    const { info, file } = await this.activeSegment(firstEntry.seq)
    let position = info.size
    for (const group of groups(records)) {
      const { bytesWritten } = await file.writev(group, position)
      const length = group.reduce((sum, record) => sum + record.length, 0)
      if (bytesWritten !== length) throw new LogCorruptError('write was cut short')
      position += length
    }
    await file.datasync()
    for (const [index, entry] of entries.entries()) {
      noteEntry(info, entry, records[index]?.length ?? 0)
    }
  }

  private async activeSegment(
    seq: number,
  ): Promise<{ readonly info: SegmentInfo; readonly file: FileHandle }> {
    const { segments, segmentBytes, onFull } = this.options
    const { newest } = segments
    const goesOn = newest !== undefined && newest !== this.sealed && newest.size < segmentBytes
    if (goesOn && this.active?.info === newest) return this.active
    await this.active?.file.close()
    this.active = undefined
    if (goesOn) {
      this.active = { info: newest, file: await open(newest.path, 'r+') }
      return this.active
    }
    const path = segments.pathOf(seq, 0)
    const info = newSegmentInfo(path, seq)
    const file = await open(path, 'w+')
    this.active = { info, file }
    await file.write(SEGMENT_MAGIC)
    await file.sync()
    await syncFolder(segments.folder)
    segments.add(info)
    if (newest !== undefined && newest !== this.sealed) onFull(newest)
    return this.active
  }
}

function* groups(records: readonly Uint8Array[]): Generator<Uint8Array[], void, void> {
  for (let i = 0; i < records.length; i += MAX_VECTORS) yield records.slice(i, i + MAX_VECTORS)
}
