import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { transact } from '../database.ts'

/** How long a refresh token stays good, and the session with it unless refreshed. */
export const REFRESH_LIFETIME_MS: number = 90 * 24 * 3_600_000
/** How long a refresh token that was used once may be used again, by a client that lost the answer. */
export const REFRESH_GRACE_MS: number = 2 * 3_600_000

/** One refresh token as the server remembers it. */
export interface RefreshGrant {
  readonly id: string
  readonly expiresAt: number
  /** Name of the app password the session was started with; absent for the account's own. */
  readonly app?: string
}

/** Remembers which refresh tokens are good. */
export interface SessionStore {
  /** Starts a session, with an app password when `app` names one. */
  start(did: string, nowMs: number, app?: string): RefreshGrant
  /**
   * Replaces a refresh token by its successor and leaves the old one good for a grace period. Using
   * the old one again in that time gives the same successor, however many requests race.
   * `undefined` when the token is unknown, expired or revoked.
   */
  rotate(id: string, nowMs: number): RefreshGrant | undefined
  /** Ends the session of a refresh token, successors included. */
  revoke(id: string): void
  /** Ends every session started with an app password. */
  revokeApp(did: string, app: string): void
  /** Ends every session of an account. */
  revokeAll(did: string): void
  /** Forgets expired tokens; gives how many. */
  sweep(nowMs: number): number
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS session_refresh (
  id TEXT PRIMARY KEY,
  did TEXT NOT NULL,
  family TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  next_id TEXT,
  app TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_refresh_did ON session_refresh (did);
CREATE INDEX IF NOT EXISTS session_refresh_family ON session_refresh (family);
`

/** Opens the session table of the database. */
export function openSessionStore(database: DatabaseSync): SessionStore {
  database.exec(SCHEMA)
  const insert = database.prepare(
    'INSERT OR IGNORE INTO session_refresh (id, did, family, expires_at, app) VALUES (?, ?, ?, ?, ?)',
  )
  const find = database.prepare(
    'SELECT did, family, expires_at, next_id, app FROM session_refresh WHERE id = ?',
  )
  const retire = database.prepare(
    'UPDATE session_refresh SET next_id = ?, expires_at = ? WHERE id = ?',
  )
  const revoke = database.prepare(
    'DELETE FROM session_refresh WHERE family = (SELECT family FROM session_refresh WHERE id = ?)',
  )
  const revokeApp = database.prepare('DELETE FROM session_refresh WHERE did = ? AND app = ?')
  const revokeAll = database.prepare('DELETE FROM session_refresh WHERE did = ?')
  const sweep = database.prepare('DELETE FROM session_refresh WHERE expires_at <= ?')

  return {
    start(did, nowMs, app) {
      const id = createId()
      const expiresAt = nowMs + REFRESH_LIFETIME_MS
      insert.run(id, did, id, expiresAt, app ?? null)
      return { id, expiresAt, ...(app === undefined ? {} : { app }) }
    },
    rotate(id, nowMs) {
      return transact(database, () => {
        const row = find.get(id)
        if (row === undefined) return undefined
        const expires = row['expires_at'] as number
        if (expires <= nowMs) return undefined
        const known = row['next_id'] as string | null
        const nextId = known ?? createId()
        if (known === null) retire.run(nextId, Math.min(expires, nowMs + REFRESH_GRACE_MS), id)
        const expiresAt = nowMs + REFRESH_LIFETIME_MS
        // Present already when this is a repetition: the first answer's token keeps its own expiry.
        const app = row['app'] as string | null
        insert.run(nextId, row['did'] as string, row['family'] as string, expiresAt, app)
        const next = find.get(nextId)
        return {
          id: nextId,
          expiresAt: (next?.['expires_at'] as number | undefined) ?? expiresAt,
          ...(app === null ? {} : { app }),
        }
      })
    },
    revoke: (id) => void revoke.run(id),
    revokeApp: (did, app) => void revokeApp.run(did, app),
    revokeAll: (did) => void revokeAll.run(did),
    sweep: (nowMs) => Number(sweep.run(nowMs).changes),
  }
}

function createId(): string {
  return randomBytes(24).toString('base64url')
}
