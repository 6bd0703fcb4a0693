import type { DatabaseSync } from 'node:sqlite'

/** Version of the tables below, kept in `repo_schema`. */
const SCHEMA_VERSION = 2

/**
 * A repo's rows go by a number. Staged content has one of its own that no head points to: a commit makes the head point to it.
 * Such rows have an empty `rev`, which stands for `imported` of the head, because their rev is known only then.
 * `repo_stage` lists the numbers whose rows are not part of a repo: staged ones, and with `touched` 0 those to be removed. All
 * numbers are drawn there and never again: a stage that was taken for dead cannot meet somebody else's rows.
 */
const TABLES = `
  CREATE TABLE IF NOT EXISTS repo_schema (version INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS repo_head (
    repo INTEGER PRIMARY KEY,
    did TEXT NOT NULL UNIQUE,
    rev TEXT NOT NULL,
    cid BLOB NOT NULL,
    data BLOB NOT NULL,
    bytes BLOB NOT NULL,
    imported TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS repo_stage (
    repo INTEGER PRIMARY KEY AUTOINCREMENT,
    did TEXT NOT NULL,
    touched INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS repo_node (
    repo INTEGER NOT NULL,
    cid BLOB NOT NULL,
    rev TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (repo, cid)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS repo_record (
    repo INTEGER NOT NULL,
    collection TEXT NOT NULL,
    rkey TEXT NOT NULL,
    cid BLOB NOT NULL,
    rev TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (repo, collection, rkey)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS repo_blob (
    repo INTEGER NOT NULL,
    collection TEXT NOT NULL,
    rkey TEXT NOT NULL,
    blob TEXT NOT NULL,
    rev TEXT NOT NULL,
    PRIMARY KEY (repo, collection, rkey, blob)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS repo_blob_by_blob ON repo_blob (repo, blob);
`

/**
 * Creates the tables where they are absent.
 *
 * @throws {Error} when the tables were made by another version of this store.
 */
export function createTables(database: DatabaseSync): void {
  database.exec(TABLES)
  const row = database.prepare('SELECT version FROM repo_schema').get()
  if (row === undefined) {
    database.prepare('INSERT INTO repo_schema (version) VALUES (?)').run(SCHEMA_VERSION)
  } else if (row['version'] !== SCHEMA_VERSION) {
    throw new Error(`repo tables are of another version; version=${String(row['version'])}`)
  }
}
