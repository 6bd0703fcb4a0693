import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Milliseconds a statement waits for another process (a backup, an operator's shell) to let go of the file. */
const BUSY_TIMEOUT_MS = 5_000

/**
 * Opens the one database of the server, creating its folder. Accounts, repositories, blob metadata
 * and the event log share it, so that whatever belongs together is one transaction.
 */
export function openDatabase(
  directory: string,
  durability: 'full' | 'normal' = 'full',
): DatabaseSync {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(directory, 'pds.sqlite'), { timeout: BUSY_TIMEOUT_MS })
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'};`,
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
