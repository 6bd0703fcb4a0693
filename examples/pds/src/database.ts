import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Milliseconds a statement waits for another process (a backup, an operator's shell) to let go of the file. */
const BUSY_TIMEOUT_MS = 5_000

/** Pages of 4 KiB the write-ahead log grows to before it is folded in: each folding holds writers up. */
const CHECKPOINT_PAGES = 4_000

/**
 * Opens the one database of the server, creating its folder. Accounts, repositories, blob metadata
 * and the event log share it, so that whatever belongs together is one transaction.
 */
export function openDatabase(
  directory: string,
  durability: 'full' | 'normal' = 'full',
): DatabaseSync {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, 'pds.sqlite')
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  // It holds signing keys. Whatever SQLite puts beside the file gets the same mode.
  chmodSync(path, 0o600)
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'};
     PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};`,
  )
  return database
}

/** Runs `work` in one transaction: all of it or, when it throws, nothing. `work` must not wait. */
export function transact<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
