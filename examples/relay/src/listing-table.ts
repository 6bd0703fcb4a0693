import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** How far the listing of each host is. */
export class ListingTable {
  readonly #select: StatementSync
  readonly #postpone: StatementSync
  readonly #move: StatementSync
  readonly #finish: StatementSync

  constructor(database: DatabaseSync) {
    this.#select = database.prepare(
      'SELECT cursor, due_at, failures, done FROM relay_listing WHERE hostname = ?',
    )
    this.#postpone = database.prepare(
      `INSERT INTO relay_listing (hostname, due_at, failures) VALUES (?, ?, ?)
       ON CONFLICT (hostname) DO UPDATE SET due_at = excluded.due_at, failures = excluded.failures`,
    )
    this.#move = database.prepare(
      `INSERT INTO relay_listing (hostname, cursor) VALUES (?, ?)
       ON CONFLICT (hostname) DO UPDATE SET cursor = excluded.cursor, failures = 0`,
    )
    this.#finish = database.prepare(
      `INSERT INTO relay_listing (hostname, done) VALUES (?, 1)
       ON CONFLICT (hostname) DO UPDATE SET done = 1`,
    )
  }

  isDue(hostname: string, nowMs: number): boolean {
    const row = this.#select.get(hostname)
    return row === undefined || (row['done'] === 0 && Number(row['due_at']) <= nowMs)
  }

  failures(hostname: string): number {
    return Number(this.#select.get(hostname)?.['failures'] ?? 0)
  }

  /** Where to go on. */
  cursor(hostname: string): string | undefined {
    const cursor = this.#select.get(hostname)?.['cursor']
    return typeof cursor === 'string' ? cursor : undefined
  }

  /** Everything before this cursor was taken. */
  moveTo(hostname: string, cursor: string): void {
    this.#move.run(hostname, cursor)
  }

  postpone(hostname: string, dueAtMs: number, failures: number): void {
    this.#postpone.run(hostname, dueAtMs, failures)
  }

  finish(hostname: string): void {
    this.#finish.run(hostname)
  }
}
