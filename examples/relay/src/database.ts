import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Version of the tables, kept in `PRAGMA user_version`. */
const SCHEMA_VERSION = 4

/** What version 3 added: what hosts listed. */
const LISTING = `
  CREATE TABLE relay_listing (
    hostname TEXT PRIMARY KEY,
    cursor TEXT,
    due_at INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE relay_listed (
    did TEXT PRIMARY KEY,
    rev TEXT NOT NULL,
    head TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
`

/** What version 4 added: hosts in the order in which they came, and accounts that are taken down. */
const LISTS = `
  CREATE INDEX relay_host_added_at ON relay_host (added_at, hostname);
  CREATE INDEX relay_account_taken_down ON relay_account (did) WHERE local_status IS NOT NULL;
`

/** From which version on each step is needed. */
const STEPS: readonly { readonly below: number; readonly sql: string }[] = [
  { below: 3, sql: LISTING },
  { below: 4, sql: LISTS },
]

/** The tables of version 2. */
const SCHEMA = `
  CREATE TABLE relay_state (applied_seq INTEGER NOT NULL) STRICT;
  INSERT INTO relay_state VALUES (0);
  CREATE TABLE relay_host (
    hostname TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    status TEXT NOT NULL,
    cursor INTEGER,
    enforcement TEXT NOT NULL,
    account_count INTEGER NOT NULL DEFAULT 0,
    account_limit INTEGER NOT NULL,
    account_limit_set INTEGER NOT NULL DEFAULT 0,
    added_at INTEGER NOT NULL,
    last_event_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE relay_account (
    did TEXT PRIMARY KEY,
    hostname TEXT NOT NULL,
    upstream_status TEXT NOT NULL,
    local_status TEXT,
    rev TEXT,
    data TEXT,
    commit_cid TEXT,
    host_seq INTEGER,
    discontinuities INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX relay_account_hostname ON relay_account (hostname);
  CREATE TABLE relay_collection (
    collection TEXT NOT NULL,
    did TEXT NOT NULL,
    PRIMARY KEY (collection, did)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX relay_collection_did ON relay_collection (did, collection);
  CREATE TABLE relay_outcome (
    hostname TEXT NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (hostname, outcome, reason)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE relay_incident (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hostname TEXT NOT NULL,
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    did TEXT,
    seq INTEGER,
    rev TEXT,
    detail TEXT
  ) STRICT;
  CREATE INDEX relay_incident_hostname ON relay_incident (hostname, id);
`

/**
 * Opens the relay's database: hosts, accounts, collections and reports. Events lie in the log.
 *
 * WAL, with `synchronous` chosen by each transaction of the store.
 *
 * @throws {Error} when the file was written by another version of the relay
 */
export function openDatabase(directory: string): DatabaseSync {
  mkdirSync(directory, { recursive: true })
  const database = new DatabaseSync(join(directory, 'relay.sqlite'))
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000')
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version === 1 || version > SCHEMA_VERSION) {
    database.close()
    throw new Error(`database is of another version of the relay; version=${String(version)}`)
  }
  if (version < SCHEMA_VERSION) {
    const steps = STEPS.filter(({ below }) => version < below).map(({ sql }) => sql)
    const missing = [version === 0 ? SCHEMA : '', ...steps].join('\n')
    database.exec(
      `BEGIN IMMEDIATE; ${missing} PRAGMA user_version = ${String(SCHEMA_VERSION)}; COMMIT`,
    )
  }
  return database
}
