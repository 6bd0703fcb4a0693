import type { DatabaseSync } from 'node:sqlite'
import { openDatabase } from '../open-database.ts'
import type { SyncStore } from './sync-store.ts'

/** Names read at once. */
const PAGE = 1_000

export interface SqliteSyncStore extends SyncStore, AsyncDisposable {}

/** Repositories to fetch, in SQLite. Its table is `event_resync`. */
export function openSqliteSyncStore(options: {
  /** An open database, or the path of one to open. */
  readonly database: DatabaseSync | string
}): SqliteSyncStore {
  const { database, close } = openDatabase(options.database)
  database.exec('CREATE TABLE IF NOT EXISTS event_resync (did TEXT PRIMARY KEY) WITHOUT ROWID')
  const select = database.prepare('SELECT did FROM event_resync WHERE did > ? ORDER BY did LIMIT ?')
  const insert = database.prepare('INSERT OR IGNORE INTO event_resync VALUES (?)')
  const remove = database.prepare('DELETE FROM event_resync WHERE did = ?')
  return {
    *pending() {
      for (let after = ''; ;) {
        const rows = select.all(after, PAGE)
        for (const { did } of rows) {
          if (typeof did !== 'string') continue
          after = did
          yield did
        }
        if (rows.length < PAGE) return
      }
    },
    mark: (dids) => {
      const own = dids.length > 1 && !database.isTransaction
      if (own) database.exec('BEGIN IMMEDIATE')
      for (const did of dids) insert.run(did)
      if (own) database.exec('COMMIT')
    },
    clear: (did) => {
      remove.run(did)
    },
    [Symbol.asyncDispose]: () => {
      close()
      return Promise.resolve()
    },
  }
}
