import { syncFolder } from '../../replace-file.ts'
import type { LogEntry } from '../port.ts'
import type { LogStateFile } from './log-state.ts'
import { encodeRecord, SEGMENT_MAGIC } from './record.ts'
import { writeSegmentIndex } from './segment-index.ts'
import type { SegmentSet } from './segment-set.ts'
import type { SegmentWriter } from './segment-writer.ts'
import { rewriteSegment, type SegmentInfo } from './segment.ts'

export interface ErasureOptions {
  readonly segments: SegmentSet
  readonly writer: SegmentWriter
  readonly state: LogStateFile
  /** Runs work that changes files, one after the other. */
  readonly exclusively: (work: () => Promise<void>) => Promise<void>
  readonly isClosed: () => boolean
}

/** Makes accounts' events unreadable: first hidden, by a mark in the log's state, then taken out of the files. */
export class Erasure {
  private readonly options: ErasureOptions
  /** The removal that has not begun yet: it serves everybody who asks until then. */
  private next: Promise<void> | undefined
  /** Events removed so far of accounts that somebody waits for. */
  private readonly removed = new Map<string, number>()

  constructor(options: ErasureOptions) {
    this.options = options
  }

  isErased({ did, seq }: LogEntry): boolean {
    const { erased } = this.options.state.current
    return Object.hasOwn(erased, did) && seq <= (erased[did] ?? 0)
  }

  /** Marks every event of the account up to a number, durably. Takes effect at once. */
  async hide(did: string, through: number): Promise<void> {
    const { state } = this.options
    await state.change({ erased: { ...state.current.erased, [did]: through } })
  }

  /** Removes what is marked. */
  removeHidden(): Promise<void> {
    this.next ??= this.options.exclusively(() => this.removeErased())
    return this.next
  }

  /** Begins to count what is removed of an account. */
  count(did: string): void {
    this.removed.set(did, 0)
  }

  /** Ends that. @returns how many events were removed. */
  counted(did: string): number {
    const removed = this.removed.get(did) ?? 0
    this.removed.delete(did)
    return removed
  }

  private async removeErased(): Promise<void> {
    this.next = undefined
    const { segments, state, isClosed } = this.options
    const { erased: begun } = state.current
    for (const segment of segments) {
      // The rest stays hidden, and is removed after the next opening.
      if (isClosed()) return
      if (await this.holdsErased(segment)) await this.rewrite(segment)
    }
    if (isClosed()) return
    const erased = Object.entries(state.current.erased).filter(
      ([did, through]) => begun[did] !== through,
    )
    await state.change({ erased: Object.fromEntries(erased) })
  }

  private async holdsErased(segment: SegmentInfo): Promise<boolean> {
    for await (const { entry } of this.options.segments.entriesOf(segment, SEGMENT_MAGIC.length)) {
      if (this.isErased(entry)) return true
    }
    return false
  }

  private async rewrite(segment: SegmentInfo): Promise<void> {
    const { segments, writer } = this.options
    await writer.withSealed(segment, async () => {
      const info = await rewriteSegment(
        segment,
        segments.nextPathOf(segment),
        (entry) => {
          if (!this.isErased(entry)) return true
          const removed = this.removed.get(entry.did)
          if (removed !== undefined) this.removed.set(entry.did, removed + 1)
          return false
        },
        encodeRecord,
      )
      segments.replace(segment, info)
      if (segments.newest !== info) await writeSegmentIndex(info)
    })
    await syncFolder(segments.folder)
    // Who reads the old file goes on reading it; who opens it from now on finds the new one.
    await segments.removeFile(segment)
  }
}
