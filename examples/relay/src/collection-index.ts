import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** Which repositories hold records of which collections, as far as the stream has shown. */
export class CollectionIndex {
  readonly #select: StatementSync
  readonly #insert: StatementSync
  readonly #remove: StatementSync
  readonly #removeAll: StatementSync

  constructor(database: DatabaseSync) {
    this.#select = database.prepare(
      'SELECT did FROM relay_collection WHERE collection = ? AND did > ? ORDER BY did LIMIT ?',
    )
    this.#insert = database.prepare(
      'INSERT OR IGNORE INTO relay_collection (collection, did) VALUES (?, ?)',
    )
    this.#remove = database.prepare(
      'DELETE FROM relay_collection WHERE collection = ? AND did = ?',
    )
    this.#removeAll = database.prepare('DELETE FROM relay_collection WHERE did = ?')
  }

  /** Accounts in the order of their DIDs, after `cursor`. */
  list(collection: string, limit: number, cursor = ''): readonly string[] {
    return this.#select.all(collection, cursor, limit).map((row) => String(row['did']))
  }

  /** Adds and removes in whatever transaction is open. */
  apply(did: string, change: CollectionChange): void {
    for (const collection of change.present) this.#insert.run(collection, did)
    for (const collection of change.emptied) this.#remove.run(collection, did)
  }

  /** Forgets an account. */
  removeAccount(did: string): void {
    this.#removeAll.run(did)
  }
}

/** What one commit shows about a repository's collections. */
export interface CollectionChange {
  /** Have a record after the commit. */
  readonly present: readonly string[]
  /** Provably have none after the commit. */
  readonly emptied: readonly string[]
}
