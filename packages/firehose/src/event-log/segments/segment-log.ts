import { mkdir, open, readdir, rm, truncate, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { LogClosedError, LogCorruptError } from '../../errors.ts'
import { syncFolder } from '../../replace-file.ts'
import { asError } from '../../verify/reasons.ts'
import { pageLimits, takePage } from '../pages.ts'
import type { EventLog, LogBounds, LogEntry, LogReadOptions, LogTrimOptions } from '../port.ts'
import { seedSequence, type SequenceMode } from '../seed.ts'
import { TailCache } from '../tail-cache.ts'
import { Waiters } from '../waiters.ts'
import { readLogState, writeLogState, type LogState } from './log-state.ts'
import { encodeRecord, SEGMENT_MAGIC, type SegmentAppend, type SegmentEntry } from './record.ts'
import {
  readSegmentIndex,
  removeSegmentIndex,
  segmentOfIndex,
  writeSegmentIndex,
} from './segment-index.ts'
import {
  newSegmentInfo,
  noteEntry,
  offsetAfter,
  placeBefore,
  readSegment,
  rewriteSegment,
  scanSegment,
  type SegmentInfo,
} from './segment.ts'

const DEFAULT_SEGMENT_BYTES: number = 256 * 1024 * 1024
const DEFAULT_TAIL_BYTES: number = 64 * 1024 * 1024
const SUFFIX = '.seg'

export interface SegmentEventLogOptions {
  /** Folder of the log; made where absent. One process at a time. */
  readonly folder: string
  /** A file is closed and a new one begun once it holds this many bytes. @defaultValue 256 MiB */
  readonly segmentBytes?: number
  /** Memory for the newest frames, in bytes. @defaultValue 64 MiB */
  readonly tailBytes?: number
  /** @defaultValue 'clock' */
  readonly sequence?: SequenceMode
  /**
   * No number up to this one is given out, whatever the files say: for callers that remember elsewhere what they gave
   * out. @defaultValue 0
   */
  readonly above?: number
  /** Clock in milliseconds. @defaultValue Date.now */
  readonly now?: () => number
  /** Told of every record found damaged, once; its event is lost. */
  readonly onDamage?: (damage: { readonly path: string; readonly offset: number }) => void
}

/** An event that has its number already: another log's. */
export type NumberedEvent = Omit<LogEntry, 'atMs'>

/** A log in files: what every event log can do, and what only this one can. */
export interface SegmentEventLog extends EventLog {
  publish(events: readonly SegmentAppend[]): Promise<readonly number[]>
  read(after: number, options?: LogReadOptions): Promise<readonly SegmentEntry[]>
  /**
   * Appends events of another log under their own numbers, makes them durable together and shows them to readers: for
   * replicas. Not to be mixed with `publish`.
   *
   * @throws {RangeError} when the numbers do not go up from the newest one here; nothing is appended then.
   */
  copy(events: readonly NumberedEvent[]): Promise<void>
  /**
   * The first half of `eraseDid`: makes every event of one account unreadable, durably, without touching the files. Takes
   * milliseconds where erasing may mean reading hundreds of gigabytes.
   */
  hideDid(did: string): Promise<void>
  /** The second half of `eraseDid`: removes what was hidden from the files. Also happens after opening. */
  removeHidden(): Promise<void>
  /**
   * Forgets everything up to a number and says so in `bounds()`: for replicas that missed what is below it. A number
   * above the newest one becomes the newest one.
   *
   * @returns how many events were removed.
   */
  forgetThrough(seq: number): Promise<number>
}

/**
 * An event log in append-only files, for relays: hundreds of gigabytes, hundreds of megabytes a minute.
 *
 * - Every event has a checksum. What was acknowledged is on disk (`fdatasync`); events published while a write is under
 *   way share the next one.
 * - After a crash the tail of the newest file is read, and cut off behind the last event that holds.
 * - Retention removes whole files; what it cuts out of a file is hidden at once.
 * - Erased events are hidden at once and then physically removed.
 *
 * Opening reads the newest file, and of the others the index beside each. A file without an index that fits is read.
 *
 * @throws {LogCorruptError} when a file is no segment of this format.
 */
export async function openSegmentEventLog(
  options: SegmentEventLogOptions,
): Promise<SegmentEventLog> {
  const { folder } = options
  const damaged = tellOnce(options.onDamage)
  await mkdir(folder, { recursive: true })
  const state = await readLogState(folder)
  const segments: SegmentInfo[] = []
  const files = await segmentFiles(folder)
  for (const [index, { name, first }] of files.entries()) {
    const path = join(folder, name)
    const isNewest = index === files.length - 1
    const known = isNewest ? undefined : await readSegmentIndex(path)
    const info = known ?? (await scanSegment(path, first, (offset) => damaged({ path, offset })))
    if (info.size === 0) {
      await rm(path)
      continue
    }
    if (isNewest) await truncate(path, info.size)
    else if (known === undefined) await writeSegmentIndex(info)
    segments.push(info)
  }
  const log = new SegmentLog({ ...options, onDamage: damaged }, state, segments)
  // Hidden already; should it fail, the next erasure tries again.
  if (Object.keys(state.erased).length > 0) log.removeHidden().catch(() => undefined)
  return log
}

/**
 * The files of a log, oldest first. A file that was being rewritten when the process ended is there twice; the later
 * one is complete, or it would not have its name.
 */
async function segmentFiles(
  folder: string,
): Promise<readonly { readonly name: string; readonly first: number }[]> {
  const newest = new Map<number, string>()
  const names = (await readdir(folder)).toSorted()
  for (const name of names) {
    const indexed = segmentOfIndex(name)
    const isOrphan = indexed !== undefined && !names.includes(indexed)
    if (isOrphan || name.endsWith('.tmp')) await rm(join(folder, name))
    if (!name.endsWith(SUFFIX)) continue
    const first = Number(name.slice(0, 16))
    if (!Number.isSafeInteger(first)) throw new LogCorruptError(`strange file name ${name}`)
    const older = newest.get(first)
    if (older !== undefined) await rm(join(folder, older))
    newest.set(first, name)
  }
  return [...newest].map(([first, name]) => ({ name, first }))
}

function segmentName(first: number, generation: number): string {
  return `${String(first).padStart(16, '0')}-${String(generation).padStart(8, '0')}${SUFFIX}`
}

type Damage = Parameters<NonNullable<SegmentEventLogOptions['onDamage']>>[0]

/** A damaged record is met by every reader, and told of by the first. */
function tellOnce(onDamage: SegmentEventLogOptions['onDamage']): (damage: Damage) => void {
  const told = new Set<string>()
  return (damage) => {
    const place = `${damage.path} ${String(damage.offset)}`
    if (told.has(place)) return
    told.add(place)
    onDamage?.(damage)
  }
}

interface Batch {
  readonly entries: readonly SegmentEntry[]
  readonly records: readonly Uint8Array[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

class SegmentLog implements SegmentEventLog {
  private readonly folder: string
  private readonly segmentBytes: number
  private readonly onDamage: (damage: Damage) => void
  private readonly now: () => number
  private readonly waiters = new Waiters()
  private readonly tail: TailCache<SegmentEntry>
  private state: LogState
  private segments: SegmentInfo[]
  /** The file appended to. It belongs to the writer alone, who notices when the segment is no longer the newest. */
  private active: { readonly info: SegmentInfo; readonly file: FileHandle } | undefined
  /** Not to be appended to: it is being replaced or removed. */
  private sealed: SegmentInfo | undefined
  private appending: Promise<void> = Promise.resolve()
  private allocated: number
  private last: number
  private lastAtMs: number
  private queue: Batch[] = []
  private writing: Promise<void> | undefined
  /** Rewriting and trimming happen one after the other, beside the writing. */
  private maintenance: Promise<unknown> = Promise.resolve()
  private saving: Promise<void> = Promise.resolve()
  /** The removal of erased events that has not begun yet: it serves everybody who asks until then. */
  private nextErasure: Promise<void> | undefined
  /** Events removed so far of accounts that somebody waits for. */
  private readonly removed = new Map<string, number>()
  private closed = false

  constructor(options: SegmentEventLogOptions, state: LogState, segments: SegmentInfo[]) {
    const { sequence = 'clock', above = 0, now = Date.now } = options
    const { tailBytes = DEFAULT_TAIL_BYTES } = options
    this.folder = options.folder
    this.segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES
    this.now = now
    this.onDamage = (damage) => options.onDamage?.(damage)
    this.state = state
    this.segments = segments
    const highWater = Math.max(above, state.highWater, segments.at(-1)?.last ?? 0)
    this.allocated = seedSequence(sequence, highWater, now())
    this.last = this.allocated
    this.lastAtMs = segments.at(-1)?.lastAtMs ?? -Infinity
    this.tail = new TailCache(this.last, tailBytes)
  }

  bounds(): LogBounds {
    return { first: this.state.trimmedThrough + 1, last: this.last }
  }

  async read(after: number, options?: LogReadOptions): Promise<readonly SegmentEntry[]> {
    const limits = pageLimits(options)
    for (let position = Math.max(after, this.state.trimmedThrough); position < this.last;) {
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
    const { trimmedThrough } = this.state
    const segment = this.segments.find(({ lastAtMs }) => lastAtMs >= atMs)
    if (segment === undefined) return this.last
    const place = placeBefore(segment, atMs)
    let { after } = place
    try {
      for await (const { entry } of this.entriesOf(segment, place.offset)) {
        if (entry.atMs >= atMs) break
        after = entry.seq
      }
    } catch (error) {
      // Replaced or removed meanwhile: look again at what is there now.
      if (!this.segments.includes(segment)) return await this.seek(atMs)
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
    return this.enqueue(entries).then(() => entries.map((entry) => entry.seq))
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
    return this.enqueue(
      events.map(({ seq, did, frame }) => ({ seq, did, frame, note: NO_NOTE, atMs })),
    )
  }

  async eraseDid(did: string): Promise<number> {
    this.removed.set(did, 0)
    await this.hideDid(did)
    await this.removeHidden()
    const removed = this.removed.get(did) ?? 0
    this.removed.delete(did)
    return removed
  }

  async hideDid(did: string): Promise<void> {
    const through = this.allocated
    this.state = { ...this.state, erased: { ...this.state.erased, [did]: through } }
    this.tail.remove((entry) => entry.did === did)
    await this.saveState()
    // What is being written now would not be found in the files yet.
    if (through > this.last) await this.changed(through - 1)
  }

  removeHidden(): Promise<void> {
    this.nextErasure ??= this.exclusively(() => this.removeErased())
    return this.nextErasure
  }

  async forgetThrough(seq: number): Promise<number> {
    await this.writing
    return await this.exclusively(async () => {
      const { trimmedThrough } = this.state
      const through = Math.max(trimmedThrough, seq)
      let removed = 0
      for (const segment of this.segments) {
        if (segment.first > through) break
        for await (const { entry } of this.entriesOf(segment, SEGMENT_MAGIC.length)) {
          if (entry.seq > through) break
          if (entry.seq > trimmedThrough) removed++
        }
      }
      this.allocated = Math.max(this.allocated, through)
      this.last = Math.max(this.last, through)
      await this.trimThrough(through)
      return removed
    })
  }

  async trim({ beforeMs = -Infinity, maxBytes = Infinity }: LogTrimOptions): Promise<number> {
    return await this.exclusively(async () => {
      let bytes = this.segments.reduce((sum, { frameBytes }) => sum + frameBytes, 0)
      let through = this.state.trimmedThrough
      let removed = 0
      cut: for (const segment of this.segments) {
        const { frameBytes, count, lastAtMs, first } = segment
        const allGo = lastAtMs < beforeMs || bytes - frameBytes >= maxBytes
        if (allGo && first > this.state.trimmedThrough) {
          bytes -= frameBytes
          removed += count
          through = segment.last
          continue
        }
        for await (const { entry } of this.entriesOf(segment, SEGMENT_MAGIC.length)) {
          if (entry.seq <= this.state.trimmedThrough) {
            bytes -= entry.frame.length
            continue
          }
          if (entry.atMs >= beforeMs && bytes <= maxBytes) break cut
          bytes -= entry.frame.length
          through = entry.seq
          removed++
        }
      }
      if (removed > 0) await this.trimThrough(through)
      return removed
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.writing
    await this.maintenance
    this.waiters.close()
    await this.active?.file.close()
  }

  private enqueue(entries: readonly SegmentEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      // What cannot be stored fails here, by itself, and not the write it would share with others.
      const records = entries.map((entry) => encodeRecord(entry))
      this.queue.push({ entries, records, resolve, reject })
      this.writing ??= this.write()
    })
  }

  /** Writes what is queued, and what is queued meanwhile, until nothing is left. */
  private async write(): Promise<void> {
    // Whatever is published in the same turn shares the write.
    await Promise.resolve()
    while (this.queue.length > 0) {
      const batches = this.queue
      this.queue = []
      const entries = batches.flatMap((batch) => batch.entries)
      try {
        this.appending = this.append(
          entries,
          batches.flatMap((batch) => batch.records),
        )
        await this.appending
      } catch (cause) {
        const error = asError(cause)
        for (const { reject } of [...batches, ...this.queue]) reject(error)
        this.queue = []
        this.closed = true
        this.waiters.close()
        break
      }
      const before = this.last
      this.last = entries.at(-1)?.seq ?? this.last
      if (this.tail.through !== before) this.tail.through = before
      this.tail.push(entries.filter((entry) => !this.isErased(entry)))
      this.tail.through = this.last
      for (const { resolve } of batches) resolve()
      this.waiters.advance(this.last)
    }
    this.writing = undefined
  }

  private async append(
    entries: readonly SegmentEntry[],
    records: readonly Uint8Array[],
  ): Promise<void> {
    const [firstEntry] = entries
    if (firstEntry === undefined) return
    const { info, file } = await this.activeSegment(firstEntry.seq)
    const { size } = info
    let position = size
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
    const newest = this.segments.at(-1)
    const goesOn = newest !== undefined && newest !== this.sealed && newest.size < this.segmentBytes
    if (goesOn && this.active?.info === newest) return this.active
    await this.active?.file.close()
    this.active = undefined
    if (goesOn) {
      this.active = { info: newest, file: await open(newest.path, 'r+') }
      return this.active
    }
    const path = join(this.folder, segmentName(seq, 0))
    const info = newSegmentInfo(path, seq)
    const file = await open(path, 'w+')
    this.active = { info, file }
    await file.write(SEGMENT_MAGIC)
    await file.sync()
    await syncFolder(this.folder)
    this.segments = [...this.segments, info]
    if (newest !== undefined && newest !== this.sealed) this.indexLater(newest)
    return this.active
  }

  private indexLater(segment: SegmentInfo): void {
    this.exclusively(async () => {
      if (this.segments.includes(segment)) await writeSegmentIndex(segment)
    }).catch(() => undefined) // It is read at the next opening instead.
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
      for await (const { entry } of this.entriesOf(segment, offsetAfter(segment, after))) {
        const { seq, frame } = entry
        if (seq <= after || this.isErased(entry)) continue
        if (seq > this.last || page.length >= limits.maxEvents) break
        bytes += frame.length
        if (page.length > 0 && bytes > limits.maxBytes) break
        page.push(entry)
      }
    } catch (error) {
      const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (isGone && !this.segments.includes(segment)) return undefined
      throw error
    }
    return page
  }

  private async *entriesOf(
    { path, size }: SegmentInfo,
    from: number,
  ): ReturnType<typeof readSegment> {
    await using file = await open(path, 'r')
    yield* readSegment(file, from, size, (offset) => {
      this.onDamage({ path, offset })
    })
  }

  private isErased({ did, seq }: LogEntry): boolean {
    const { erased } = this.state
    return Object.hasOwn(erased, did) && seq <= (erased[did] ?? 0)
  }

  private async removeErased(): Promise<void> {
    this.nextErasure = undefined
    const { erased: begun } = this.state
    await this.rewrite()
    if (this.closed) return
    const erased = Object.entries(this.state.erased).filter(
      ([did, through]) => begun[did] !== through,
    )
    this.state = { ...this.state, erased: Object.fromEntries(erased) }
    await this.saveState()
  }

  /** Removes erased events from every file that holds some. */
  private async rewrite(): Promise<void> {
    for (const segment of this.segments) {
      // The rest stays hidden, and is removed after the next opening.
      if (this.closed) break
      let holds = false
      for await (const { entry } of this.entriesOf(segment, SEGMENT_MAGIC.length)) {
        if (!this.isErased(entry)) continue
        holds = true
        break
      }
      if (!holds) continue
      const generation = Number(segment.path.slice(-SUFFIX.length - 8, -SUFFIX.length)) + 1
      await this.withSealed(segment, async () => {
        const info = await rewriteSegment(
          segment,
          join(this.folder, segmentName(segment.first, generation)),
          (entry) => {
            if (!this.isErased(entry)) return true
            const removed = this.removed.get(entry.did)
            if (removed !== undefined) this.removed.set(entry.did, removed + 1)
            return false
          },
          encodeRecord,
        )
        this.segments = this.segments.map((one) => (one === segment ? info : one))
        if (this.segments.at(-1) !== info) await writeSegmentIndex(info)
      })
      await syncFolder(this.folder)
      // Who reads the old file goes on reading it; who opens it from now on finds the new one.
      await rm(segment.path)
      await removeSegmentIndex(segment.path)
    }
  }

  /** Keeps the writer away from a file: what comes meanwhile goes into a new one. */
  private async withSealed(segment: SegmentInfo, work: () => Promise<void>): Promise<void> {
    this.sealed = segment
    try {
      await this.appending.catch(() => undefined)
      await work()
    } finally {
      this.sealed = undefined
    }
  }

  private async trimThrough(through: number): Promise<void> {
    this.state = { ...this.state, trimmedThrough: through }
    await this.saveState()
    this.tail.remove((entry) => entry.seq <= through)
    for (const segment of this.segments.filter(({ last }) => last <= through)) {
      await this.withSealed(segment, async () => {
        // Something may have been appended since.
        if (segment.last > through) return
        this.segments = this.segments.filter((one) => one !== segment)
        await rm(segment.path)
        await removeSegmentIndex(segment.path)
      })
    }
    await syncFolder(this.folder)
  }

  private saveState(): Promise<void> {
    const save = (): Promise<void> => {
      this.state = { ...this.state, highWater: this.allocated }
      return writeLogState(this.folder, this.state)
    }
    this.saving = this.saving.then(save, save)
    return this.saving
  }

  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.maintenance.then(work, work)
    this.maintenance = result.catch(() => undefined)
    return result
  }
}

const NO_NOTE = new Uint8Array()

/** Most buffers the system takes in one call. */
const MAX_VECTORS = 512

function* groups(records: readonly Uint8Array[]): Generator<Uint8Array[], void, void> {
  for (let i = 0; i < records.length; i += MAX_VECTORS) yield records.slice(i, i + MAX_VECTORS)
}
