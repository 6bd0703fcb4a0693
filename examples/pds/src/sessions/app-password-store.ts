import { createHash, randomInt } from 'node:crypto'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'

/** A password for one app, which may less than the account's own. */
export interface AppPassword {
  /** Chosen by the owner, unique within the account. */
  readonly name: string
  /** Whether it may read direct messages and move the account. */
  readonly privileged: boolean
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

/** Remembers the app passwords of accounts, by hash. */
export interface AppPasswordStore {
  /** Makes one; the password is told this once. `undefined` when the name is taken. */
  create(
    did: string,
    app: Pick<AppPassword, 'name' | 'privileged'>,
    nowMs: number,
  ): (AppPassword & { readonly password: string }) | undefined
  /** The app whose password this is. */
  find(did: string, password: string): AppPassword | undefined
  get(did: string, name: string): AppPassword | undefined
  list(did: string): readonly AppPassword[]
  remove(did: string, name: string): void
  removeAll(did: string): void
}

/** Opens the table of app passwords in the database. */
export function openAppPasswordStore(database: DatabaseSync): AppPasswordStore {
  database.exec(`
    CREATE TABLE IF NOT EXISTS app_password (
      did TEXT NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL,
      privileged INTEGER NOT NULL, created_at INTEGER NOT NULL,
      PRIMARY KEY (did, name)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX IF NOT EXISTS app_password_hash ON app_password (did, hash);`)
  const insert = database.prepare(`
    INSERT OR IGNORE INTO app_password (did, name, hash, privileged, created_at)
    VALUES (?, ?, ?, ?, ?)`)
  const select = 'SELECT name, privileged, created_at FROM app_password WHERE did = ?'
  const byHash = database.prepare(`${select} AND hash = ?`)
  const byName = database.prepare(`${select} AND name = ?`)
  const all = database.prepare(`${select} ORDER BY created_at, name`)
  const remove = database.prepare('DELETE FROM app_password WHERE did = ? AND name = ?')
  const removeAll = database.prepare('DELETE FROM app_password WHERE did = ?')
  return {
    create(did, { name, privileged }, nowMs) {
      const password = createPassword()
      const { changes } = insert.run(did, name, hash(did, password), privileged ? 1 : 0, nowMs)
      return changes === 0 ? undefined : { name, privileged, createdAt: nowMs, password }
    },
    find: (did, password) => toApp(byHash.get(did, hash(did, password))),
    get: (did, name) => toApp(byName.get(did, name)),
    list: (did) => all.all(did).map(readApp),
    remove: (did, name) => void remove.run(did, name),
    removeAll: (did) => void removeAll.run(did),
  }
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** Four groups of four: eighty random bits. Clients know app passwords by this shape. */
function createPassword(): string {
  const group = (): string =>
    Array.from({ length: 4 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  return [group(), group(), group(), group()].join('-')
}

/** One plain hash is enough: unlike what people think up, these passwords cannot be guessed at any speed. */
function hash(did: string, password: string): Uint8Array {
  return createHash('sha256').update(`${did} ${password}`).digest()
}

type Row = Record<string, SQLOutputValue>

function toApp(row: Row | undefined): AppPassword | undefined {
  return row === undefined ? undefined : readApp(row)
}

function readApp(row: Row): AppPassword {
  // The STRICT schema above guarantees the types.
  return {
    name: row['name'] as string,
    privileged: row['privileged'] === 1,
    createdAt: row['created_at'] as number,
  }
}
