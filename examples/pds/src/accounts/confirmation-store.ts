import { randomInt, timingSafeEqual } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'

/** What a code confirms. */
export type ConfirmationPurpose = 'delete-account' | 'plc-operation'

/** How long a code is good. */
export const CONFIRMATION_LIFETIME_MS: number = 15 * 60_000

/**
 * Codes that prove a wish came from the owner and not only from somebody with their session: they reach
 * the owner by another way. One code per account and purpose; a new one replaces the old.
 */
export interface ConfirmationStore {
  create(did: string, purpose: ConfirmationPurpose, nowMs: number): string
  /** Whether the code is the newest one for this; upper and lower case are the same. */
  check(
    did: string,
    purpose: ConfirmationPurpose,
    code: string,
    nowMs: number,
  ): 'good' | 'expired' | 'wrong'
  /** Forgets the code for a purpose, or every code of an account. */
  remove(did: string, purpose?: ConfirmationPurpose): void
  /** Forgets expired codes; gives how many. */
  sweep(nowMs: number): number
}

/** Opens the table of codes in the database. */
export function openConfirmationStore(database: DatabaseSync): ConfirmationStore {
  database.exec(`
    CREATE TABLE IF NOT EXISTS confirmation (
      did TEXT NOT NULL, purpose TEXT NOT NULL, code TEXT NOT NULL, expires_at INTEGER NOT NULL,
      PRIMARY KEY (did, purpose)
    ) STRICT, WITHOUT ROWID;`)
  const put = database.prepare(
    'INSERT OR REPLACE INTO confirmation (did, purpose, code, expires_at) VALUES (?, ?, ?, ?)',
  )
  const find = database.prepare(
    'SELECT code, expires_at FROM confirmation WHERE did = ? AND purpose = ?',
  )
  const remove = database.prepare(
    'DELETE FROM confirmation WHERE did = :did AND purpose = coalesce(:purpose, purpose)',
  )
  const sweep = database.prepare('DELETE FROM confirmation WHERE expires_at <= ?')
  return {
    create(did, purpose, nowMs) {
      const code = createCode()
      put.run(did, purpose, code, nowMs + CONFIRMATION_LIFETIME_MS)
      return code
    },
    check(did, purpose, code, nowMs) {
      const row = find.get(did, purpose)
      if (row === undefined) return 'wrong'
      const expected = Buffer.from(row['code'] as string)
      const actual = Buffer.from(code.toUpperCase())
      if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) return 'wrong'
      return (row['expires_at'] as number) <= nowMs ? 'expired' : 'good'
    },
    remove: (did, purpose) => void remove.run({ did, purpose: purpose ?? null }),
    sweep: (nowMs) => Number(sweep.run(nowMs).changes),
  }
}

/** Letters and digits that are not mistaken for each other. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const GROUP = 5

/** Two groups of five: fifty bits, which nobody guesses at the rate the limits allow. */
function createCode(): string {
  const group = (): string =>
    Array.from({ length: GROUP }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
  return `${group()}-${group()}`
}
