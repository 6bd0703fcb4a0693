import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'

/**
 * State of an account. `pending`: its identity is being created and nothing of it is visible.
 * All others but `active` are refused writes, and their repo is not served to strangers.
 */
export type AccountStatus = 'pending' | 'active' | 'deactivated' | 'suspended' | 'takendown'

/** One account. */
export interface Account {
  /** Row number: names the account's blob folder and orders listings. Never re-used. */
  readonly id: number
  readonly did: string
  readonly handle: string
  readonly email: string | undefined
  readonly status: AccountStatus
  /** Secret bytes of the k256 key that signs the repo. */
  readonly signingKey: Uint8Array
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

/** An account that is about to exist. */
export interface NewAccount {
  readonly did: string
  readonly handle: string
  readonly email?: string
  readonly passwordHash: string
  readonly signingKey: Uint8Array
  readonly createdAt: number
}

/** Which unique value of a new account is taken. */
export type AccountConflict = 'did' | 'handle' | 'email'

/** Accounts by DID, handle and e-mail. Synchronous: every call is one indexed statement. */
export interface AccountStore {
  getByDid(did: string): Account | undefined
  getByHandle(handle: string): Account | undefined
  /** Finds by DID, handle or, where it contains `@` inside, e-mail. */
  getByIdentifier(identifier: string): Account | undefined
  getPasswordHash(did: string): string | undefined
  /** Adds a `pending` account, or says which of its values another account holds. */
  create(account: NewAccount): AccountConflict | undefined
  setStatus(did: string, status: AccountStatus): void
  /** Gives `false` when another account has the handle. */
  setHandle(did: string, handle: string): boolean
  setPasswordHash(did: string, hash: string): void
  remove(did: string): void
  /** Accounts that are not pending, by row number, above `cursor`. */
  list(options: { readonly cursor: number; readonly limit: number }): readonly Account[]
  /** Accounts that may have been left without a repo: pending and deactivated ones. */
  listUnsettled(): readonly Account[]
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS account (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  did TEXT NOT NULL UNIQUE,
  handle TEXT NOT NULL UNIQUE,
  email TEXT UNIQUE,
  password_hash TEXT NOT NULL,
  signing_key BLOB NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'deactivated', 'suspended', 'takendown')),
  created_at INTEGER NOT NULL
) STRICT;
`

/** Opens the account table of the database. */
export function openAccountStore(database: DatabaseSync): AccountStore {
  database.exec(SCHEMA)
  const columns = 'id, did, handle, email, status, signing_key, created_at'
  const byDid = database.prepare(`SELECT ${columns} FROM account WHERE did = ?`)
  const byHandle = database.prepare(`SELECT ${columns} FROM account WHERE handle = ?`)
  const byEmail = database.prepare(`SELECT ${columns} FROM account WHERE email = ?`)
  const hash = database.prepare('SELECT password_hash AS hash FROM account WHERE did = ?')
  const conflict = database.prepare(`
    SELECT CASE WHEN did = :did THEN 'did' WHEN handle = :handle THEN 'handle' ELSE 'email' END AS field
    FROM account WHERE did = :did OR handle = :handle OR email = :email LIMIT 1`)
  const insert = database.prepare(`
    INSERT INTO account (did, handle, email, password_hash, signing_key, status, created_at)
    VALUES (?, ?, ?, ?, ?, 'pending', ?)`)
  const status = database.prepare('UPDATE account SET status = ? WHERE did = ?')
  const handle = database.prepare('UPDATE OR IGNORE account SET handle = ? WHERE did = ?')
  const password = database.prepare('UPDATE account SET password_hash = ? WHERE did = ?')
  const remove = database.prepare('DELETE FROM account WHERE did = ?')
  const list = database.prepare(
    `SELECT ${columns} FROM account WHERE id > ? AND status <> 'pending' ORDER BY id LIMIT ?`,
  )
  const unsettled = database.prepare(
    `SELECT ${columns} FROM account WHERE status IN ('pending', 'deactivated')`,
  )

  return {
    getByDid: (did) => toAccount(byDid.get(did)),
    getByHandle: (name) => toAccount(byHandle.get(name.toLowerCase())),
    getByIdentifier(identifier) {
      if (identifier.startsWith('did:')) return toAccount(byDid.get(identifier))
      const text = identifier.toLowerCase()
      return text.indexOf('@') > 0
        ? toAccount(byEmail.get(text))
        : toAccount(byHandle.get(text.replace(/^@/, '')))
    },
    getPasswordHash: (did) => hash.get(did)?.['hash'] as string | undefined,
    create(account) {
      const email = account.email?.toLowerCase() ?? null
      const taken = conflict.get({ did: account.did, handle: account.handle, email })
      if (taken !== undefined) return taken['field'] as AccountConflict
      insert.run(
        account.did,
        account.handle,
        email,
        account.passwordHash,
        account.signingKey,
        account.createdAt,
      )
      return undefined
    },
    setStatus: (did, value) => void status.run(value, did),
    setHandle: (did, value) => handle.run(value, did).changes === 1,
    setPasswordHash: (did, value) => void password.run(value, did),
    remove: (did) => void remove.run(did),
    list: ({ cursor, limit }) => list.all(cursor, limit).map(readAccount),
    listUnsettled: () => unsettled.all().map(readAccount),
  }
}

type Row = Record<string, SQLOutputValue>

function toAccount(row: Row | undefined): Account | undefined {
  return row === undefined ? undefined : readAccount(row)
}

function readAccount(row: Row): Account {
  // The STRICT schema above guarantees the types.
  return {
    id: row['id'] as number,
    did: row['did'] as string,
    handle: row['handle'] as string,
    email: (row['email'] as string | null) ?? undefined,
    status: row['status'] as AccountStatus,
    signingKey: row['signing_key'] as Uint8Array,
    createdAt: row['created_at'] as number,
  }
}
