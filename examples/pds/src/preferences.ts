import type { DatabaseSync } from 'node:sqlite'
import { decodeCbor, encodeCbor } from '@skywright/repo/cbor'
import { transact } from './database.ts'

/** A preference: an object with a `$type`, kept as the client sent it. */
export type Preference = Readonly<Record<string, unknown>> & { readonly $type: string }

/** Whether a preference tells about the person (their birth date): kept from app passwords. */
export function isPersonal({ $type }: Preference): boolean {
  return $type === 'app.bsky.actor.defs#personalDetailsPref'
}

/** Private settings of accounts, opaque to the server. */
export interface PreferenceStore {
  /** Preferences in the order they were put. */
  get(did: string): readonly Preference[]
  /** Replaces all preferences of an account. */
  put(did: string, preferences: readonly Preference[]): void
  remove(did: string): void
}

/** Opens the preference table of the database. */
export function openPreferenceStore(database: DatabaseSync): PreferenceStore {
  database.exec(`
    CREATE TABLE IF NOT EXISTS preference (
      did TEXT NOT NULL, position INTEGER NOT NULL, value BLOB NOT NULL,
      PRIMARY KEY (did, position)
    ) STRICT, WITHOUT ROWID;`)
  const select = database.prepare('SELECT value FROM preference WHERE did = ? ORDER BY position')
  const insert = database.prepare('INSERT INTO preference (did, position, value) VALUES (?, ?, ?)')
  const remove = database.prepare('DELETE FROM preference WHERE did = ?')
  return {
    // Written by put() below, from values of this type.
    get: (did) =>
      select.all(did).map((row) => decodeCbor(row['value'] as Uint8Array) as Preference),
    put(did, preferences) {
      transact(database, () => {
        remove.run(did)
        for (const [position, preference] of preferences.entries()) {
          insert.run(did, position, encodeCbor(preference))
        }
      })
    },
    remove: (did) => void remove.run(did),
  }
}
