import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { LogCorruptError } from '../errors.ts'
import { openDatabase } from '../open-database.ts'
import { pageLimits, takePage } from './pages.ts'
import type {
  LogAppend,
  LogBounds,
  LogEntry,
  LogReadOptions,
  LogTrimOptions,
  TransactionalEventLog,
} from './port.ts'
import { seedSequence, type SequenceMode } from './seed.ts'
import { TailCache } from './tail-cache.ts'
import { Waiters } from './waiters.ts'

/** Memory for the newest frames, shared by all live subscribers. */
const DEFAULT_TAIL_BYTES: number = 16 * 1024 * 1024
/** Rows removed per transaction by retention, so that writers are never held up for long. */
const TRIM_BATCH = 1_000

export interface SqliteEventLogOptions {
  /**
   * An open database, or the path of one to open (WAL, synchronous=FULL). Give the repository store the same
   * `DatabaseSync` and a commit and its event are one transaction. Only one process may write to it.
   */
  readonly database: DatabaseSync | string
  /** @defaultValue 'clock' */
  readonly sequence?: SequenceMode
  /** Memory for the newest frames, in bytes. @defaultValue 16 MiB */
  readonly tailBytes?: number
  /** Clock in milliseconds. @defaultValue Date.now */
  readonly now?: () => number
}

/**
 * Opens (and where needed creates) the log. Its tables are named `event_*` and live beside any others.
 *
 * Disposing it closes the database only when it was opened from a path.
 */
export function openSqliteEventLog(options: SqliteEventLogOptions): TransactionalEventLog {
  return new SqliteEventLog(options)
}

class SqliteEventLog implements TransactionalEventLog {
  private readonly database: DatabaseSync
  private readonly close: () => void
  private readonly now: () => number
  private readonly waiters = new Waiters()
  private readonly tail: TailCache
  private readonly insert: StatementSync
  private readonly select: StatementSync
  private readonly setMeta: StatementSync
  private allocated: number
  private last: number
  private first: number
  private pending = false
  private lastAtMs: number
  /** Bytes ever appended, with the open transaction and without it. */
  private totalBytes: number
  private durableBytes: number

  constructor({
    database,
    sequence = 'clock',
    tailBytes = DEFAULT_TAIL_BYTES,
    now = Date.now,
  }: SqliteEventLogOptions) {
    const opened = openDatabase(database)
    this.database = opened.database
    this.close = opened.close
    this.now = now
    this.database.exec(`
      CREATE TABLE IF NOT EXISTS event_log (
        seq INTEGER PRIMARY KEY,
        did TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        total_bytes INTEGER NOT NULL, -- of all frames ever appended, up to and with this one
        frame BLOB NOT NULL
      );
      CREATE INDEX IF NOT EXISTS event_log_did ON event_log (did);
      CREATE TABLE IF NOT EXISTS event_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    `)
    this.insert = this.database.prepare(
      'INSERT INTO event_log (seq, did, at_ms, total_bytes, frame) VALUES (?, ?, ?, ?, ?)',
    )
    this.select = this.database.prepare(
      'SELECT seq, did, frame, at_ms AS atMs FROM event_log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?',
    )
    this.setMeta = this.database.prepare(
      'INSERT INTO event_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)',
    )
    const highWater = Math.max(
      this.number('SELECT max(seq) AS value FROM event_log') ?? 0,
      this.meta('high_water') ?? 0,
    )
    this.allocated = seedSequence(sequence, highWater, now())
    // No event will ever appear at or below the seed, so a cursor up to it is in the past, not in the future.
    this.last = this.allocated
    this.first = (this.meta('trimmed_through') ?? 0) + 1
    this.totalBytes =
      this.number('SELECT total_bytes AS value FROM event_log ORDER BY seq DESC LIMIT 1') ?? 0
    this.durableBytes = this.totalBytes
    this.lastAtMs =
      this.number('SELECT at_ms AS value FROM event_log ORDER BY seq DESC LIMIT 1') ?? 0
    this.tail = new TailCache(this.last, tailBytes)
  }

  bounds(): LogBounds {
    return { first: this.first, last: this.last }
  }

  read(after: number, options?: LogReadOptions): Promise<readonly LogEntry[]> {
    try {
      const limits = pageLimits(options)
      for (let position = after; position < this.last;) {
        if (position >= this.tail.through) this.fillTail(limits.maxEvents)
        if (!this.tail.covers(position)) return Promise.resolve(this.rows(position, limits))
        const { entries, start } = this.tail.after(position)
        const page = takePage(entries, start, limits)
        if (page.length > 0) return Promise.resolve(page)
        // What the cache held there was erased: go on behind it.
        position = this.tail.through
      }
      return Promise.resolve([])
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
  }

  changed(after: number, signal?: AbortSignal): Promise<void> {
    if (this.last > after) return Promise.resolve()
    return this.waiters.wait(after, signal)
  }

  seek(atMs: number): Promise<number> {
    // Times go up with numbers, so numbers can be searched by halves, whatever the gaps between them.
    const next = this.database.prepare(
      'SELECT seq, at_ms AS atMs FROM event_log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1',
    )
    let low = this.first - 1
    let high = this.last
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = next.get(middle, high)
      const seq = row?.['seq']
      if (typeof seq !== 'number' || Number(row?.['atMs']) >= atMs) high = middle
      else low = seq
    }
    const row = next.get(low, this.last)
    return Promise.resolve(row === undefined ? this.last : low)
  }

  append(did: string, encode: (seq: number) => Uint8Array): number {
    const seq = this.allocated + 1
    const frame = encode(seq)
    const atMs = Math.max(this.lastAtMs, Math.floor(this.now()))
    this.insert.run(seq, did, atMs, this.totalBytes + frame.length, frame)
    this.lastAtMs = atMs
    this.allocated = seq
    this.totalBytes += frame.length
    this.pending = true
    return seq
  }

  committed(): void {
    if (!this.pending) return
    this.pending = false
    this.durableBytes = this.totalBytes
    this.last = this.allocated
    this.waiters.advance(this.last)
  }

  rolledBack(): void {
    // The numbers stay used: a gap is legal, a number used twice is not.
    this.pending = false
    this.totalBytes = this.durableBytes
  }

  publish(events: readonly LogAppend[]): Promise<readonly number[]> {
    try {
      const seqs = this.transaction(() => events.map(({ did, encode }) => this.append(did, encode)))
      this.committed()
      return Promise.resolve(seqs)
    } catch (error) {
      this.rolledBack()
      return Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
  }

  eraseDid(did: string): Promise<number> {
    const erased = this.transaction(() => {
      this.setMeta.run('high_water', this.allocated)
      return Number(this.database.prepare('DELETE FROM event_log WHERE did = ?').run(did).changes)
    })
    this.tail.remove((entry) => entry.did === did)
    return Promise.resolve(erased)
  }

  async trim({ beforeMs = -Infinity, maxBytes = Infinity }: LogTrimOptions): Promise<number> {
    // Running totals say how much lies above a row without reading what lies there.
    const oldest = this.database.prepare(
      'SELECT seq, at_ms AS atMs, total_bytes AS totalBytes, length(frame) AS bytes FROM event_log WHERE seq >= ? ORDER BY seq LIMIT ?',
    )
    const remove = this.database.prepare('DELETE FROM event_log WHERE seq <= ?')
    let removed = 0
    for (;;) {
      let through: number | undefined
      let counted = 0
      for (const row of oldest.all(this.first, TRIM_BATCH)) {
        const bytes = this.durableBytes - Number(row['totalBytes']) + Number(row['bytes'])
        if (Number(row['atMs']) >= beforeMs && bytes <= maxBytes) break
        through = Number(row['seq'])
        counted++
      }
      if (through === undefined) return removed
      const last = through
      this.transaction(() => {
        this.setMeta.run('trimmed_through', last)
        this.setMeta.run('high_water', this.allocated)
        remove.run(last)
      })
      removed += counted
      this.first = last + 1
      this.tail.remove((entry) => entry.seq <= last)
      // Sockets and writers first.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.waiters.close()
    this.close()
    return Promise.resolve()
  }

  private fillTail(maxEvents: number): void {
    const rows = this.rows(this.tail.through, { maxEvents, maxBytes: Infinity })
    this.tail.push(rows)
    // Numbers above the last row up to the tip hold nothing: do not ask for them again.
    if (rows.length < maxEvents) this.tail.through = this.last
  }

  private rows(
    after: number,
    { maxEvents, maxBytes }: { readonly maxEvents: number; readonly maxBytes: number },
  ): LogEntry[] {
    const entries: LogEntry[] = []
    let bytes = 0
    for (const row of this.select.iterate(after, this.last, maxEvents)) {
      const { seq, did, frame, atMs } = row
      if (
        typeof seq !== 'number' ||
        typeof atMs !== 'number' ||
        typeof did !== 'string' ||
        !(frame instanceof Uint8Array)
      ) {
        throw new LogCorruptError('row of unexpected kind')
      }
      bytes += frame.length
      if (entries.length > 0 && bytes > maxBytes) break
      entries.push({ seq, did, frame, atMs })
    }
    return entries
  }

  private transaction<T>(work: () => T): T {
    this.database.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.database.exec('COMMIT')
      return result
    } catch (error) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK')
      throw error
    }
  }

  private meta(key: string): number | undefined {
    const row = this.database.prepare('SELECT value FROM event_meta WHERE key = ?').get(key)
    const value = row?.['value']
    return typeof value === 'number' ? value : undefined
  }

  private number(sql: string): number | undefined {
    const value = this.database.prepare(sql).get()?.['value']
    return typeof value === 'number' ? value : undefined
  }
}
