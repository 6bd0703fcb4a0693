import { firstAfter, pageLimits, takePage } from './pages.ts'
import type { LogAppend, LogBounds, LogEntry, TransactionalEventLog } from './port.ts'
import { Waiters } from './waiters.ts'

export interface MemoryEventLogOptions {
  /** The first number given out is one above this. @defaultValue 0 */
  readonly lastSeq?: number
  /** Clock in milliseconds, for retention by age. @defaultValue Date.now */
  readonly now?: () => number
}

/** An event log that forgets at exit. Retention is the caller's: call `trim`. */
export function createMemoryEventLog(options: MemoryEventLogOptions = {}): TransactionalEventLog {
  return new MemoryEventLog(options)
}

class MemoryEventLog implements TransactionalEventLog {
  private readonly now: () => number
  private readonly waiters = new Waiters()
  private entries: LogEntry[] = []
  private pending: LogEntry[] = []
  private allocated: number
  private last: number
  private first: number
  private lastAtMs = -Infinity

  constructor({ lastSeq = 0, now = Date.now }: MemoryEventLogOptions) {
    this.now = now
    this.allocated = lastSeq
    this.last = lastSeq
    this.first = 1
  }

  bounds(): LogBounds {
    return { first: this.first, last: this.last }
  }

  read(
    after: number,
    options?: Parameters<TransactionalEventLog['read']>[1],
  ): Promise<readonly LogEntry[]> {
    return Promise.resolve(
      takePage(this.entries, firstAfter(this.entries, after), pageLimits(options)),
    )
  }

  changed(after: number, signal?: AbortSignal): Promise<void> {
    if (this.last > after) return Promise.resolve()
    return this.waiters.wait(after, signal)
  }

  seek(atMs: number): Promise<number> {
    const index = this.entries.findIndex((entry) => entry.atMs >= atMs)
    if (index === -1) return Promise.resolve(this.last)
    return Promise.resolve(this.entries[index - 1]?.seq ?? this.first - 1)
  }

  append(did: string, encode: (seq: number) => Uint8Array): number {
    const seq = this.allocated + 1
    const frame = encode(seq)
    this.allocated = seq
    this.lastAtMs = Math.max(this.lastAtMs, Math.floor(this.now()))
    this.pending.push({ seq, did, frame, atMs: this.lastAtMs })
    return seq
  }

  committed(): void {
    if (this.pending.length === 0) return
    this.entries.push(...this.pending)
    this.last = this.allocated
    this.pending = []
    this.waiters.advance(this.last)
  }

  rolledBack(): void {
    this.pending = []
  }

  publish(events: readonly LogAppend[]): Promise<readonly number[]> {
    let seqs: number[]
    try {
      seqs = events.map(({ did, encode }) => this.append(did, encode))
    } catch (error) {
      this.rolledBack()
      return Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
    this.committed()
    return Promise.resolve(seqs)
  }

  eraseDid(did: string): Promise<number> {
    const kept = this.entries.filter((entry) => entry.did !== did)
    const erased = this.entries.length - kept.length
    this.entries = kept
    return Promise.resolve(erased)
  }

  trim({
    beforeMs = -Infinity,
    maxBytes = Infinity,
  }: Parameters<TransactionalEventLog['trim']>[0]): Promise<number> {
    let bytes = this.entries.reduce((sum, entry) => sum + entry.frame.length, 0)
    let count = 0
    for (const entry of this.entries) {
      if (entry.atMs >= beforeMs && bytes <= maxBytes) break
      bytes -= entry.frame.length
      this.first = entry.seq + 1
      count++
    }
    this.entries.splice(0, count)
    return Promise.resolve(count)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.waiters.close()
    return Promise.resolve()
  }
}
