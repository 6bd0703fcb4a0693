import { DatabaseSync } from 'node:sqlite'

/** A database that was handed in, or opened here from a path and to be closed here. */
export interface OpenedDatabase {
  readonly database: DatabaseSync
  /** Closes it where it was opened here. */
  readonly close: () => void
}

/** Opens a path with write-ahead log and `synchronous=FULL`: what is committed survives a power cut. */
export function openDatabase(given: DatabaseSync | string): OpenedDatabase {
  if (typeof given !== 'string') return { database: given, close: () => undefined }
  const database = new DatabaseSync(given)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000')
  return {
    database,
    close: () => {
      if (database.isOpen) database.close()
    },
  }
}
