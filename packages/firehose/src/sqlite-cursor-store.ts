import type { DatabaseSync } from 'node:sqlite'
import type { CursorStore } from './cursor-store.ts'
import { openDatabase } from './open-database.ts'

export interface SqliteCursorStoreOptions {
  /** An open database, or the path of one to open. Its table is `event_cursor`. */
  readonly database: DatabaseSync | string
}

export interface SqliteCursorStore extends CursorStore, AsyncDisposable {
  /**
   * The same as `set`, synchronously and inside whatever transaction is open on the database: for handlers that store
   * their rows and the cursor together.
   */
  setInTransaction(source: string, cursor: number): void
}

/** Cursors in SQLite. */
export function openSqliteCursorStore(options: SqliteCursorStoreOptions): SqliteCursorStore {
  const { database, close } = openDatabase(options.database)
  database.exec(`
    CREATE TABLE IF NOT EXISTS event_cursor (source TEXT PRIMARY KEY, cursor INTEGER NOT NULL)
    WITHOUT ROWID
  `)
  const select = database.prepare('SELECT cursor FROM event_cursor WHERE source = ?')
  const upsert = database.prepare(
    'INSERT INTO event_cursor VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor',
  )
  return {
    get: (source) => {
      const cursor = select.get(source)?.['cursor']
      return Promise.resolve(typeof cursor === 'number' ? cursor : undefined)
    },
    set: (source, cursor) => {
      upsert.run(source, cursor)
      return Promise.resolve()
    },
    setInTransaction: (source, cursor) => {
      upsert.run(source, cursor)
    },
    [Symbol.asyncDispose]: () => {
      close()
      return Promise.resolve()
    },
  }
}
