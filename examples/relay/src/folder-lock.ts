import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/**
 * Takes a data folder for this process, until disposed or the process ends, however it ends: two writers would ruin
 * the log. What is locked is a file `lock`, in the one way Node can lock files: SQLite's.
 *
 * @throws {Error} when another process has the folder
 */
export function lockFolder(directory: string): Disposable {
  mkdirSync(directory, { recursive: true })
  const lock = new DatabaseSync(join(directory, 'lock'))
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    throw new Error(`another process uses the data folder ${directory}`, { cause })
  }
  return { [Symbol.dispose]: () => lock.close() }
}
