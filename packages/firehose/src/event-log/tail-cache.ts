import { firstAfter } from './pages.ts'
import type { LogEntry } from './port.ts'

/**
 * The newest entries of a stored log, shared by every reader near the tip, so that a hundred live subscribers cost one
 * read from disk and hold the same arrays.
 */
export class TailCache<E extends LogEntry = LogEntry> {
  private readonly maxBytes: number
  private entries: E[] = []
  private bytes = 0
  /** Every entry above this number, up to {@link through}, is here. */
  from: number
  through: number

  constructor(position: number, maxBytes: number) {
    this.from = position
    this.through = position
    this.maxBytes = maxBytes
  }

  /** Whether an answer to "what follows `after`?" can come from here. */
  covers(after: number): boolean {
    return after >= this.from && after < this.through
  }

  /** Entries above `after`; call only when {@link covers} says so. */
  after(after: number): { readonly entries: readonly E[]; readonly start: number } {
    return { entries: this.entries, start: firstAfter(this.entries, after) }
  }

  /** Adds entries that directly follow {@link through}, which moves to the last of them. */
  push(added: readonly E[]): void {
    for (const entry of added) {
      this.entries.push(entry)
      this.bytes += entry.frame.length
      this.through = entry.seq
    }
    let evicted = 0
    while (this.bytes > this.maxBytes && evicted < this.entries.length - 1) {
      const oldest = this.entries[evicted]
      if (oldest === undefined) break
      this.bytes -= oldest.frame.length
      this.from = oldest.seq
      evicted++
    }
    if (evicted > 0) this.entries.splice(0, evicted)
  }

  /** Forgets the entries that `drop` names. */
  remove(drop: (entry: E) => boolean): void {
    this.entries = this.entries.filter((entry) => !drop(entry))
    this.bytes = this.entries.reduce((sum, entry) => sum + entry.frame.length, 0)
  }
}
