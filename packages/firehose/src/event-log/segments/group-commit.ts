import { asError } from '../../verify/reasons.ts'
import { encodeRecord, type SegmentEntry } from './record.ts'

interface Batch {
  readonly entries: readonly SegmentEntry[]
  readonly records: readonly Uint8Array[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export interface GroupCommitOptions {
  /** Writes entries with their records and makes them durable. Not called again before it ended. */
  readonly append: (
    entries: readonly SegmentEntry[],
    records: readonly Uint8Array[],
  ) => Promise<void>
  /** Told what is durable, before those who wait for it are. */
  readonly onDurable: (entries: readonly SegmentEntry[]) => void
  /** A write failed: nothing is written any more, and whoever waits is told why. */
  readonly onFailure: () => void
}

/** One write at a time; what is handed in while it is under way shares the next one. */
export class GroupCommit {
  private readonly options: GroupCommitOptions
  private queue: Batch[] = []
  private writing: Promise<void> | undefined

  constructor(options: GroupCommitOptions) {
    this.options = options
  }

  /** Resolves when the entries are durable. */
  add(entries: readonly SegmentEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      // What cannot be stored fails here, by itself, and not the write it would share with others.
      const records = entries.map((entry) => encodeRecord(entry))
      this.queue.push({ entries, records, resolve, reject })
      this.writing ??= this.write()
    })
  }

  /** Resolves when nothing is left to write. */
  async idle(): Promise<void> {
    await this.writing
  }

  /** Writes what is queued, and what is queued meanwhile, until nothing is left. */
  private async write(): Promise<void> {
    const { append, onDurable, onFailure } = this.options
    // Whatever is published in the same turn shares the write.
    await Promise.resolve()
    while (this.queue.length > 0) {
      const batches = this.queue
      this.queue = []
      const entries = batches.flatMap((batch) => batch.entries)
      try {
        await append(
          entries,
          batches.flatMap((batch) => batch.records),
        )
      } catch (cause) {
        const error = asError(cause)
        for (const { reject } of [...batches, ...this.queue]) reject(error)
        this.queue = []
        onFailure()
        break
      }
      onDurable(entries)
      for (const { resolve } of batches) resolve()
    }
    this.writing = undefined
  }
}
