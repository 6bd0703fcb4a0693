import { LogClosedError } from '../../errors.ts'
import { asError } from '../../verify/reasons.ts'
import { pageLimits, takePage } from '../pages.ts'
import type { LogBounds, LogReadOptions, LogTrimOptions } from '../port.ts'
import { seedSequence } from '../seed.ts'
import { TailCache } from '../tail-cache.ts'
import { Waiters } from '../waiters.ts'
import { Erasure } from './erasure.ts'
import { GroupCommit } from './group-commit.ts'
import { LogStateFile, type LogState } from './log-state.ts'
import type { SegmentAppend, SegmentEntry } from './record.ts'
import { countThrough, findCut, removeThrough } from './retention.ts'
import type { NumberedEvent, SegmentEventLog, SegmentEventLogOptions } from './segment-event-log.ts'
import { writeSegmentIndex } from './segment-index.ts'
import type { SegmentSet } from './segment-set.ts'
import { SegmentWriter } from './segment-writer.ts'
import { offsetAfter, placeBefore, type SegmentInfo } from './segment.ts'

const DEFAULT_SEGMENT_BYTES: number = 256 * 1024 * 1024
const DEFAULT_TAIL_BYTES: number = 64 * 1024 * 1024
const NO_NOTE = new Uint8Array()

/** A log over a set of segments: numbers, what readers see and when, and whose turn it is to change files. */
export class SegmentLog implements SegmentEventLog {
  private readonly now: () => number
  private readonly segments: SegmentSet
  private readonly writer: SegmentWriter
  private readonly state: LogStateFile
  private readonly erasure: Erasure
  private readonly waiters = new Waiters()
  private readonly tail: TailCache<SegmentEntry>
  private allocated: number
  private last: number
  private lastAtMs: number
  private readonly commits: GroupCommit
  /** Rewriting and trimming happen one after the other, beside the writing. */
  private maintenance: Promise<unknown> = Promise.resolve()
  private closed = false

  constructor(options: SegmentEventLogOptions, segments: SegmentSet, state: LogState) {
    const { sequence = 'clock', above = 0, now = Date.now } = options
    const { tailBytes = DEFAULT_TAIL_BYTES, segmentBytes = DEFAULT_SEGMENT_BYTES } = options
    this.now = now
    this.segments = segments
    const highWater = Math.max(above, state.highWater, segments.newest?.last ?? 0)
    this.allocated = seedSequence(sequence, highWater, now())
    this.last = this.allocated
    this.lastAtMs = segments.newest?.lastAtMs ?? -Infinity
    this.tail = new TailCache(this.last, tailBytes)
    this.state = new LogStateFile(options.folder, state, () => this.allocated)
    this.writer = new SegmentWriter({
      segments,
      segmentBytes,
      onFull: (segment) => {
        this.indexLater(segment)
      },
    })
    this.commits = new GroupCommit({
      append: (entries, records) => this.writer.append(entries, records),
      onDurable: (entries) => {
        this.show(entries)
        this.waiters.advance(this.last)
      },
      onFailure: () => {
        this.closed = true
        this.waiters.close()
      },
    })
    this.erasure = new Erasure({
      segments,
      writer: this.writer,
      state: this.state,
      exclusively: (work) => this.exclusively(work),
      isClosed: () => this.closed,
    })
  }

  bounds(): LogBounds {
    return { first: this.state.current.trimmedThrough + 1, last: this.last }
  }

  async read(after: number, options?: LogReadOptions): Promise<readonly SegmentEntry[]> {
    const limits = pageLimits(options)
    for (let position = Math.max(after, this.state.current.trimmedThrough); position < this.last;) {
      if (position >= this.tail.through) return []
      if (this.tail.covers(position)) {
        const { entries, start } = this.tail.after(position)
        return takePage(entries, start, limits)
      }
      const segment = this.segments.find((one) => one.last > position)
      if (segment === undefined) return []
      const page = await this.readPage(segment, position, limits)
      if (page === undefined) continue
      if (page.length > 0) return page
      position = segment.last
    }
    return []
  }

  changed(after: number, signal?: AbortSignal): Promise<void> {
    if (this.last > after) return Promise.resolve()
    return this.waiters.wait(after, signal)
  }

  async seek(atMs: number): Promise<number> {
    const { trimmedThrough } = this.state.current
    const segment = this.segments.find(({ lastAtMs }) => lastAtMs >= atMs)
    if (segment === undefined) return this.last
    const place = placeBefore(segment, atMs)
    let { after } = place
    try {
      for await (const { entry } of this.segments.entriesOf(segment, place.offset)) {
        if (entry.atMs >= atMs) break
        after = entry.seq
      }
    } catch (error) {
      // Replaced or removed meanwhile: look again at what is there now.
      if (!this.segments.has(segment)) return await this.seek(atMs)
      throw error
    }
    return Math.max(after, trimmedThrough)
  }

  publish(events: readonly SegmentAppend[]): Promise<readonly number[]> {
    if (this.closed) return Promise.reject(new LogClosedError())
    const atMs = Math.max(this.lastAtMs, Math.floor(this.now()))
    let entries: SegmentEntry[]
    try {
      let seq = this.allocated
      entries = events.map(({ did, encode, note = NO_NOTE }) => {
        seq++
        return { seq, did, note, frame: encode(seq), atMs }
      })
      this.allocated = seq
      this.lastAtMs = atMs
    } catch (error) {
      return Promise.reject(asError(error))
    }
    return this.commits.add(entries).then(() => entries.map((entry) => entry.seq))
  }

  copy(events: readonly NumberedEvent[]): Promise<void> {
    if (this.closed) return Promise.reject(new LogClosedError())
    const atMs = Math.max(this.lastAtMs, Math.floor(this.now()))
    let last = this.allocated
    for (const { seq } of events) {
      if (!Number.isSafeInteger(seq) || seq <= last) {
        const numbers = `last=${String(last)} seq=${String(seq)}`
        return Promise.reject(new RangeError(`numbers must go up; ${numbers}`))
      }
      last = seq
    }
    this.allocated = last
    this.lastAtMs = atMs
    return this.commits.add(
      events.map(({ seq, did, frame }) => ({ seq, did, frame, note: NO_NOTE, atMs })),
    )
  }

  async eraseDid(did: string): Promise<number> {
    this.erasure.count(did)
    await this.hideDid(did)
    await this.removeHidden()
    return this.erasure.counted(did)
  }

  async hideDid(did: string): Promise<void> {
    const through = this.allocated
    const hidden = this.erasure.hide(did, through)
    this.tail.remove((entry) => entry.did === did)
    await hidden
    // What is being written now would not be found in the files yet.
    if (through > this.last) await this.changed(through - 1)
  }

  removeHidden(): Promise<void> {
    return this.erasure.removeHidden()
  }

  async forgetThrough(seq: number): Promise<number> {
    await this.commits.idle()
    return await this.exclusively(async () => {
      const { trimmedThrough } = this.state.current
      const through = Math.max(trimmedThrough, seq)
      const removed = await countThrough(this.segments, trimmedThrough, through)
      this.allocated = Math.max(this.allocated, through)
      this.last = Math.max(this.last, through)
      await this.trimThrough(through)
      return removed
    })
  }

  async trim(options: LogTrimOptions): Promise<number> {
    return await this.exclusively(async () => {
      const { trimmedThrough } = this.state.current
      const { through, removed } = await findCut(this.segments, trimmedThrough, options)
      if (removed > 0) await this.trimThrough(through)
      return removed
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.commits.idle()
    await this.maintenance
    this.waiters.close()
    await this.writer.close()
  }

  /** Shows readers what is durable now. */
  private show(entries: readonly SegmentEntry[]): void {
    const before = this.last
    this.last = entries.at(-1)?.seq ?? before
    if (this.tail.through !== before) this.tail.through = before
    this.tail.push(entries.filter((entry) => !this.erasure.isErased(entry)))
    this.tail.through = this.last
  }

  /** One page of a file; `undefined` when the file was replaced or removed meanwhile. */
  private async readPage(
    segment: SegmentInfo,
    after: number,
    limits: { readonly maxEvents: number; readonly maxBytes: number },
  ): Promise<SegmentEntry[] | undefined> {
    const page: SegmentEntry[] = []
    let bytes = 0
    try {
      for await (const { entry } of this.segments.entriesOf(segment, offsetAfter(segment, after))) {
        const { seq, frame } = entry
        if (seq <= after || this.erasure.isErased(entry)) continue
        if (seq > this.last || page.length >= limits.maxEvents) break
        bytes += frame.length
        if (page.length > 0 && bytes > limits.maxBytes) break
        page.push(entry)
      }
    } catch (error) {
      const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (isGone && !this.segments.has(segment)) return undefined
      throw error
    }
    return page
  }

  private indexLater(segment: SegmentInfo): void {
    this.exclusively(async () => {
      if (this.segments.has(segment)) await writeSegmentIndex(segment)
    }).catch(() => undefined) // It is read at the next opening instead.
  }

  private async trimThrough(through: number): Promise<void> {
    await this.state.change({ trimmedThrough: through })
    this.tail.remove((entry) => entry.seq <= through)
    await removeThrough(this.segments, this.writer, through)
  }

  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.maintenance.then(work, work)
    this.maintenance = result.catch(() => undefined)
    return result
  }
}
