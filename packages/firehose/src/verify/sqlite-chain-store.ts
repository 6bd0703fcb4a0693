import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { openDatabase } from '../open-database.ts'
import type { ChainStore } from './chain-store.ts'
import type { ChainState } from './outcome.ts'

/** Repositories kept in memory. About 300 bytes each. */
const DEFAULT_MAX_CACHED = 200_000
/** States held back above which they are written without waiting for a flush. */
const MAX_DIRTY = 10_000

export interface SqliteChainStoreOptions {
  /** An open database, or the path of one to open. Its tables are `event_chain` and `event_inactive`. */
  readonly database: DatabaseSync | string
  /** Repositories whose state is also kept in memory. @defaultValue 200 000 */
  readonly maxCached?: number
}

export interface SqliteChainStore extends ChainStore, AsyncDisposable {
  get(did: string): ChainState | undefined
  put(did: string, state: ChainState): void
  delete(did: string): void
  isInactive(did: string): boolean
  setInactive(did: string, inactive: boolean): void
  flush(): void
}

/**
 * Chain states in SQLite behind a memory cache. States become durable together, at `flush`: consumers flush before they
 * store a cursor, so that the cursor is never ahead of the chain.
 */
export function openSqliteChainStore(options: SqliteChainStoreOptions): SqliteChainStore {
  return new CachedChainStore(options)
}

class CachedChainStore implements SqliteChainStore {
  private readonly database: DatabaseSync
  private readonly close: () => void
  private readonly maxCached: number
  private readonly select: StatementSync
  private readonly upsert: StatementSync
  private readonly remove: StatementSync
  private readonly selectInactive: StatementSync
  private readonly insertInactive: StatementSync
  private readonly removeInactive: StatementSync
  private readonly cache = new Map<string, ChainState>()
  private readonly dirty = new Map<string, ChainState | undefined>()
  private readonly dirtyInactive = new Map<string, boolean>()

  constructor({ database, maxCached = DEFAULT_MAX_CACHED }: SqliteChainStoreOptions) {
    const opened = openDatabase(database)
    this.database = opened.database
    this.close = opened.close
    this.maxCached = maxCached
    this.database.exec(`
      CREATE TABLE IF NOT EXISTS event_chain (
        did TEXT PRIMARY KEY,
        rev TEXT NOT NULL,
        data TEXT NOT NULL,
        commit_cid TEXT NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS event_inactive (did TEXT PRIMARY KEY) WITHOUT ROWID;
    `)
    this.select = this.database.prepare(
      'SELECT rev, data, commit_cid FROM event_chain WHERE did = ?',
    )
    this.upsert = this.database.prepare(
      'INSERT INTO event_chain VALUES (?, ?, ?, ?) ON CONFLICT (did) DO UPDATE SET rev = excluded.rev, data = excluded.data, commit_cid = excluded.commit_cid',
    )
    this.remove = this.database.prepare('DELETE FROM event_chain WHERE did = ?')
    this.selectInactive = this.database.prepare('SELECT 1 FROM event_inactive WHERE did = ?')
    this.insertInactive = this.database.prepare('INSERT OR IGNORE INTO event_inactive VALUES (?)')
    this.removeInactive = this.database.prepare('DELETE FROM event_inactive WHERE did = ?')
  }

  get(did: string): ChainState | undefined {
    if (this.dirty.has(did)) return this.dirty.get(did)
    const cached = this.cache.get(did)
    if (cached !== undefined) return cached
    const row = this.select.get(did)
    if (row === undefined) return undefined
    const { rev, data, commit_cid: commit } = row
    if (typeof rev !== 'string' || typeof data !== 'string' || typeof commit !== 'string') {
      return undefined
    }
    const state = { rev, data, commit }
    this.remember(did, state)
    return state
  }

  put(did: string, state: ChainState): void {
    this.remember(did, state)
    this.dirty.set(did, state)
    if (this.dirty.size >= MAX_DIRTY) this.flush()
  }

  delete(did: string): void {
    this.cache.delete(did)
    this.dirty.set(did, undefined)
  }

  isInactive(did: string): boolean {
    return this.dirtyInactive.get(did) ?? this.selectInactive.get(did) !== undefined
  }

  setInactive(did: string, inactive: boolean): void {
    if (this.isInactive(did) === inactive) return
    this.dirtyInactive.set(did, inactive)
    if (this.dirtyInactive.size >= MAX_DIRTY) this.flush()
  }

  flush(): void {
    if (this.dirty.size === 0 && this.dirtyInactive.size === 0) return
    // A transaction somebody else opened on this database carries these rows too; its commit makes them durable.
    const own = !this.database.isTransaction
    if (own) this.database.exec('BEGIN IMMEDIATE')
    try {
      for (const [did, state] of this.dirty) {
        if (state === undefined) this.remove.run(did)
        else this.upsert.run(did, state.rev, state.data, state.commit)
      }
      for (const [did, inactive] of this.dirtyInactive) {
        const statement = inactive ? this.insertInactive : this.removeInactive
        statement.run(did)
      }
      if (own) this.database.exec('COMMIT')
    } catch (error) {
      if (own && this.database.isTransaction) this.database.exec('ROLLBACK')
      throw error
    }
    this.dirty.clear()
    this.dirtyInactive.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.flush()
    this.close()
    return Promise.resolve()
  }

  /** The least recently stored or read goes first. */
  private remember(did: string, state: ChainState): void {
    this.cache.delete(did)
    this.cache.set(did, state)
    for (const oldest of this.cache.keys()) {
      if (this.cache.size <= this.maxCached) break
      this.cache.delete(oldest)
    }
  }
}
