/**
 * The embedded index store, on `node:sqlite`.
 *
 * @packageDocumentation
 */
import { DatabaseSync } from 'node:sqlite'

import { runSteps } from '../engine/steps.ts'
import { StoreFailureError } from '../errors.ts'
import type { SqlValue } from '../sql-value.ts'
import type { Schema } from '../schema.ts'
import type { Shard } from '../shard.ts'
import type { IndexStore } from './port.ts'
import { layOut } from './sqlite-store/layout.ts'
import { SqliteTransaction } from './sqlite-store/transaction.ts'
import type { IndexTransaction } from './transaction.ts'

/** How an index file is opened. */
export interface SqliteIndexStoreOptions {
  /**
   * What a power cut may cost. `normal`: the last batches together with their cursor, so they are simply read
   * again. `full`: nothing, at one fsync a batch.
   *
   * @defaultValue 'normal'
   */
  readonly durability?: 'normal' | 'full'
  /** Page cache of the writing connection, in bytes. @defaultValue 64 MiB */
  readonly cacheBytes?: number
  /** How long to wait for a lock that another process holds, in milliseconds. @defaultValue 5000 */
  readonly busyTimeoutMs?: number
}

const DEFAULT_CACHE_BYTES = 64 * 1024 * 1024
/** WAL pages between checkpoints: 16 MB, so that a busy page is written back once, not once a batch. */
const CHECKPOINT_PAGES = 4_000
/** Prepared read statements kept. */
const MAX_READ_STATEMENTS = 256

/**
 * Opens an index file, or `:memory:`. Reads go through a connection of their own and see committed batches only.
 * One process writes; others may open the file for reading.
 *
 * @throws {StoreFailureError} when the file cannot be opened
 */
export function openSqliteIndexStore(
  path: string,
  options: SqliteIndexStoreOptions = {},
): IndexStore {
  try {
    return new SqliteIndexStore(path, options)
  } catch (error) {
    throw new StoreFailureError(`cannot open ${path}`, { cause: error, retryable: false })
  }
}

class SqliteIndexStore implements IndexStore {
  readonly dialect = 'sqlite'
  readonly #writer: DatabaseSync
  readonly #reader: DatabaseSync
  readonly #reads = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  #transaction: SqliteTransaction | undefined
  #closed = false

  constructor(path: string, options: SqliteIndexStoreOptions) {
    const {
      durability = 'normal',
      cacheBytes = DEFAULT_CACHE_BYTES,
      busyTimeoutMs = 5_000,
    } = options
    this.#writer = new DatabaseSync(path)
    this.#writer.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'};
      PRAGMA cache_size = -${Math.ceil(cacheBytes / 1024)};
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      PRAGMA temp_store = MEMORY;
      PRAGMA busy_timeout = ${Math.ceil(busyTimeoutMs)};
    `)
    // A second connection to `:memory:` would be another database; there, transactions never interleave with reads.
    this.#reader = path === ':memory:' ? this.#writer : new DatabaseSync(path)
    if (this.#reader !== this.#writer)
      this.#reader.exec(
        'PRAGMA query_only = 1; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; PRAGMA busy_timeout = 5000',
      )
  }

  async prepare(
    schema: Schema,
    options: { readonly canFetch: boolean; readonly shard: Shard },
  ): Promise<void> {
    if (options.shard.count > 1) throw new RangeError('one process writes an SQLite index')
    this.#guard(() => {
      layOut(this.#writer, schema, options.canFetch)
      this.#transaction = new SqliteTransaction(this.#writer, schema)
    })
  }

  async transact<T>(work: (tx: IndexTransaction) => Generator<unknown, T, unknown>): Promise<T> {
    const transaction = this.#transaction
    if (transaction === undefined) throw new TypeError('prepare was not called')
    let begun = false
    try {
      this.#writer.exec('BEGIN IMMEDIATE')
      begun = true
      const result = runSteps(work(transaction))
      this.#writer.exec('COMMIT')
      return result
    } catch (error) {
      if (begun) {
        this.#rollBack()
        transaction.reset()
      }
      // What lies in the data would fail for ever: the indexer finds the event and goes on.
      throw begun && isFault(error) ? error : storeFailure(error)
    }
  }

  async query(
    sql: string,
    parameters: readonly SqlValue[],
  ): Promise<readonly Record<string, SqlValue>[]> {
    return this.#guard(() => {
      let statement = this.#reads.get(sql)
      if (statement === undefined) {
        if (this.#reads.size >= MAX_READ_STATEMENTS) this.#reads.clear()
        statement = this.#reader.prepare(sql)
        this.#reads.set(sql, statement)
      }
      return statement.all(...parameters) as Record<string, SqlValue>[]
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#reader !== this.#writer) this.#reader.close()
    this.#writer.close()
  }

  /** SQLite has rolled back by itself after some failures; then there is nothing left to end. */
  #rollBack(): void {
    try {
      this.#writer.exec('ROLLBACK')
    } catch (error) {
      if (!isSqliteError(error)) throw error
    }
  }

  #guard<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw storeFailure(error)
    }
  }
}

/** What the caller is told when the database refuses; any other error as it is. */
function storeFailure(error: unknown): unknown {
  if (!isSqliteError(error)) return error
  return new StoreFailureError(error.message, { cause: error, retryable: !isFault(error) })
}

/** SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_CONSTRAINT and SQLITE_MISMATCH: what lies in the data or the statement. */
const FAULTS: ReadonlySet<number> = new Set([1, 18, 19, 20])

/** Whether the same statement would fail again and again. */
function isFault(error: unknown): boolean {
  if (!isSqliteError(error) || !('errcode' in error)) return false
  // The lowest byte is the primary code.
  return FAULTS.has(Number(error.errcode) & 0xff)
}

function isSqliteError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR'
}
