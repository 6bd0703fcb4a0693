import { DatabaseSync } from 'node:sqlite'
import type { IdentityCache } from '../resolver/identity-cache.ts'

/** Options of {@link openSqliteIdentityCache}. */
export interface SqliteIdentityCacheOptions {
  /** A file name (opened here and closed by dispose), or a database you already have open (left open). */
  readonly database: DatabaseSync | string
  /**
   * Answers kept; the oldest go first.
   * @defaultValue 1000000
   */
  readonly maxEntries?: number
}

const DEFAULT_MAX_ENTRIES = 1_000_000
/** Every so many additions the oldest answers are removed. */
const TRIM_INTERVAL = 1000

const SCHEMA = `
create table if not exists identity_cache (
  key text primary key,
  fetched_at_ms integer not null,
  answer text not null
) strict, without rowid;
create index if not exists identity_cache_fetched_at on identity_cache (fetched_at_ms);
`

/**
 * A resolver's second tier in SQLite, so that answers outlive the process. Its table is `identity_cache`. A file of
 * its own is written without waiting for the disk: a cache may be lost.
 */
export function openSqliteIdentityCache(
  options: SqliteIdentityCacheOptions,
): IdentityCache & Disposable {
  const { maxEntries = DEFAULT_MAX_ENTRIES } = options
  const own = typeof options.database === 'string'
  const database =
    typeof options.database === 'string' ? new DatabaseSync(options.database) : options.database
  if (own)
    database.exec('pragma busy_timeout = 1000; pragma journal_mode = wal; pragma synchronous = off')
  database.exec(SCHEMA)
  const select = database.prepare(
    'select fetched_at_ms as fetchedAtMs, answer from identity_cache where key = ?',
  )
  const upsert = database.prepare(
    `insert into identity_cache (key, fetched_at_ms, answer) values (?, ?, ?)
     on conflict (key) do update set fetched_at_ms = excluded.fetched_at_ms, answer = excluded.answer`,
  )
  const remove = database.prepare('delete from identity_cache where key = ?')
  const trim = database.prepare(
    `delete from identity_cache where key in (
       select key from identity_cache order by fetched_at_ms
       limit max(0, (select count(*) from identity_cache) - ?))`,
  )
  let untilTrim = 0

  return {
    get(key) {
      const row = select.get(key)
      return row === undefined
        ? undefined
        : { fetchedAtMs: Number(row['fetchedAtMs']), text: String(row['answer']) }
    },
    set(key, { fetchedAtMs, text }) {
      upsert.run(key, Math.trunc(fetchedAtMs), text)
      if (untilTrim-- > 0) return
      trim.run(maxEntries)
      untilTrim = Math.min(TRIM_INTERVAL, maxEntries)
    },
    delete(key) {
      remove.run(key)
    },
    [Symbol.dispose]() {
      if (own && database.isOpen) database.close()
    },
  }
}
