import type { DatabaseSync } from 'node:sqlite'

import { addedColumns } from '../../column-change.ts'
import { SchemaMismatchError } from '../../errors.ts'
import type { CollectionSchema, ColumnSchema, Schema } from '../../schema.ts'
import {
  fillKey,
  quote,
  searchTable,
  setAsideTable,
  uniqueByLink,
  uniqueColumns,
} from '../table-names.ts'

/** Version of the tables that every index has; raised when their layout changes. */
const LAYOUT_VERSION = 2

const BASE_TABLES = `
CREATE TABLE IF NOT EXISTS ix_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_collection (
  nsid TEXT PRIMARY KEY, name TEXT NOT NULL, fingerprint TEXT NOT NULL, setAside INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_actor (
  id INTEGER PRIMARY KEY,
  did TEXT NOT NULL UNIQUE,
  handle TEXT,
  rev TEXT,
  sync INTEGER NOT NULL DEFAULT 0,
  active INTEGER NOT NULL DEFAULT 1,
  status TEXT,
  handleDue INTEGER NOT NULL DEFAULT 0,
  sweep INTEGER NOT NULL DEFAULT 0,
  sweepAt TEXT NOT NULL DEFAULT '',
  parked INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  dueAt INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS ix_actor_handle ON ix_actor (handle) WHERE handle IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_actor_fetch ON ix_actor (dueAt) WHERE sync IN (1, 2);
CREATE INDEX IF NOT EXISTS ix_actor_sweep ON ix_actor (id) WHERE sweep <> 0;
CREATE INDEX IF NOT EXISTS ix_actor_due_handle ON ix_actor (handleDue) WHERE handleDue <> 0;
CREATE TABLE IF NOT EXISTS ix_nsid (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ix_reason (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ix_counter_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ix_path (id INTEGER PRIMARY KEY, nsid INTEGER NOT NULL, path TEXT NOT NULL, UNIQUE (nsid, path));
CREATE TABLE IF NOT EXISTS ix_uri (
  id INTEGER PRIMARY KEY, repo INTEGER NOT NULL, nsid INTEGER NOT NULL, rkey TEXT NOT NULL, UNIQUE (repo, nsid, rkey)
);
CREATE TABLE IF NOT EXISTS ix_link (
  target INTEGER NOT NULL, path INTEGER NOT NULL, repo INTEGER NOT NULL, rkey TEXT NOT NULL,
  PRIMARY KEY (target, path, repo, rkey)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_counter (
  target INTEGER NOT NULL, counter INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (target, counter)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_notification (
  recipient INTEGER NOT NULL, sortAt INTEGER NOT NULL, repo INTEGER NOT NULL, nsid INTEGER NOT NULL, rkey TEXT NOT NULL,
  reason INTEGER NOT NULL, subject INTEGER NOT NULL,
  PRIMARY KEY (recipient, sortAt, repo, nsid, rkey, reason)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_dead (
  repo INTEGER NOT NULL, nsid INTEGER NOT NULL, rkey TEXT NOT NULL, cid BLOB NOT NULL, reason TEXT NOT NULL,
  at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (repo, nsid, rkey)
);
CREATE TABLE IF NOT EXISTS ix_gate (
  dependency TEXT NOT NULL, nsid INTEGER NOT NULL, repo INTEGER NOT NULL, rkey TEXT NOT NULL,
  PRIMARY KEY (dependency, nsid, repo, rkey)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_gate_row ON ix_gate (nsid, repo, rkey);
CREATE TABLE IF NOT EXISTS ix_gate_due (
  nsid INTEGER NOT NULL, repo INTEGER NOT NULL, rkey TEXT NOT NULL, PRIMARY KEY (nsid, repo, rkey)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_parked (id INTEGER PRIMARY KEY, repo INTEGER NOT NULL, event BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS ix_parked_repo ON ix_parked (repo, id);
CREATE TABLE IF NOT EXISTS ix_label (
  target INTEGER NOT NULL, src INTEGER NOT NULL, val TEXT NOT NULL, cid TEXT NOT NULL, neg INTEGER NOT NULL,
  cts INTEGER NOT NULL, exp INTEGER, bytes BLOB NOT NULL, PRIMARY KEY (target, src, val, cid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_source (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL, updatedAt INTEGER NOT NULL) WITHOUT ROWID;
`

/** Creates what is missing and refuses what was laid out by other declarations. @throws {SchemaMismatchError} */
export function layOut(database: DatabaseSync, schema: Schema, canFetch: boolean): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    database.exec(BASE_TABLES)
    checkVersion(database)
    for (const collection of schema.collections) layOutCollection(database, collection, canFetch)
    database.exec('COMMIT')
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}

function checkVersion(database: DatabaseSync): void {
  const row = database.prepare("SELECT value FROM ix_meta WHERE key = 'layout'").get()
  if (row === undefined)
    database.prepare("INSERT INTO ix_meta VALUES ('layout', ?)").run(String(LAYOUT_VERSION))
  else if (row['value'] !== String(LAYOUT_VERSION))
    throw new SchemaMismatchError(
      '*',
      `layout version ${String(row['value'])}, not ${LAYOUT_VERSION}`,
    )
}

function layOutCollection(
  database: DatabaseSync,
  collection: CollectionSchema,
  canFetch: boolean,
): void {
  const stored = database
    .prepare('SELECT name, fingerprint, setAside FROM ix_collection WHERE nsid = ?')
    .get(collection.nsid)
  if (stored === undefined) {
    createTables(database, collection)
    database
      .prepare('INSERT INTO ix_collection (nsid, name, fingerprint) VALUES (?, ?, ?)')
      .run(collection.nsid, collection.name, collection.fingerprint)
  } else if (
    stored['name'] !== collection.name ||
    stored['fingerprint'] !== collection.fingerprint
  ) {
    const [name, fingerprint] = [String(stored['name']), String(stored['fingerprint'])]
    // Rows that are being derived or filled are so for the declaration before: this one begins anew.
    const added = stored['setAside'] === 0 ? addedColumns(collection, name, fingerprint) : undefined
    if (added === undefined) setAside(database, collection, name, fingerprint, canFetch)
    else addColumns(database, collection, added)
  }
  createIndexes(database, collection)
  if (collection.derive !== undefined) database.exec(collection.derive.tables)
}

/**
 * Removes what the old declaration derived and puts its rows aside. Runs in the transaction that also stores the
 * new fingerprint: a crash is before or after it, and the rows aside are worked off in bounded steps later.
 */
export function setAside(
  database: DatabaseSync,
  collection: CollectionSchema,
  oldName: string,
  oldFingerprint: string,
  canFetch: boolean,
): void {
  const old = JSON.parse(oldFingerprint) as {
    keepsRecord: boolean
    counters: [string][]
    search: string[]
  }
  const kept = quote(setAsideTable(collection))
  const wasAside = database
    .prepare("SELECT 1 AS one FROM sqlite_schema WHERE type = 'table' AND name = ?")
    .get(setAsideTable(collection))
  if (
    !old.keepsRecord &&
    !canFetch &&
    database.prepare(`SELECT 1 AS one FROM ${quote(oldName)} LIMIT 1`).get()
  )
    throw new SchemaMismatchError(
      collection.name,
      'its rows keep no record to derive from; hand in fetchRepo to fetch them again',
    )
  if (old.search.length > 0) database.exec(`DROP TABLE ${quote(`ix_search_${oldName}`)}`)
  database
    .prepare(
      'DELETE FROM ix_link WHERE path / 2 IN (SELECT p.id FROM ix_path p JOIN ix_nsid n ON n.id = p.nsid WHERE n.name = ?)',
    )
    .run(collection.nsid)
  database
    .prepare('DELETE FROM ix_notification WHERE nsid IN (SELECT id FROM ix_nsid WHERE name = ?)')
    .run(collection.nsid)
  for (const table of ['ix_gate', 'ix_gate_due'])
    database
      .prepare(`DELETE FROM ${table} WHERE nsid IN (SELECT id FROM ix_nsid WHERE name = ?)`)
      .run(collection.nsid)
  const forget = database.prepare(
    'DELETE FROM ix_counter WHERE counter IN (SELECT id FROM ix_counter_name WHERE name = ?)',
  )
  for (const [name] of old.counters) forget.run(name)
  const rows = old.keepsRecord
    ? 'SELECT repo, rkey, cid, bytes, indexedAt'
    : 'SELECT repo, rkey, cid, NULL AS bytes, indexedAt'
  if (wasAside === undefined)
    database.exec(`CREATE TABLE ${kept} (
      id INTEGER PRIMARY KEY, repo INTEGER NOT NULL, rkey TEXT NOT NULL, cid BLOB NOT NULL, bytes BLOB, indexedAt INTEGER NOT NULL
    )`)
  database.exec(
    `INSERT INTO ${kept} (repo, rkey, cid, bytes, indexedAt) ${rows} FROM ${quote(oldName)}`,
  )
  if (collection.derive !== undefined) {
    database.exec(collection.derive.tables)
    collection.derive.reset((statement, parameters = []) => {
      database.prepare(statement).run(...parameters)
    })
  }
  database.exec(`DROP TABLE ${quote(oldName)}`)
  createTables(database, collection)
  database
    .prepare('UPDATE ix_collection SET name = ?, fingerprint = ?, setAside = 1 WHERE nsid = ?')
    .run(collection.name, collection.fingerprint, collection.nsid)
}

function addColumns(
  database: DatabaseSync,
  collection: CollectionSchema,
  added: readonly string[],
): void {
  for (const column of collection.columns)
    if (added.includes(column.name))
      database.exec(
        `ALTER TABLE ${quote(collection.name)} ADD COLUMN ${quote(column.name)} ${sqlType(column)}`,
      )
  database
    .prepare('UPDATE ix_collection SET fingerprint = ?, setAside = 2 WHERE nsid = ?')
    .run(collection.fingerprint, collection.nsid)
  database.prepare('DELETE FROM ix_meta WHERE key = ?').run(fillKey(collection))
}

function createTables(database: DatabaseSync, collection: CollectionSchema): void {
  const table = quote(collection.name)
  const declared = collection.columns.map((column) => `${quote(column.name)} ${sqlType(column)}`)
  if (collection.edge)
    database.exec(`CREATE TABLE ${table} (
      repo INTEGER NOT NULL, rkey TEXT NOT NULL, cid BLOB NOT NULL, state INTEGER NOT NULL,
      indexedAt INTEGER NOT NULL, sortAt INTEGER NOT NULL${declared.map((column) => `, ${column}`).join('')},
      ${collection.keepsRecord ? 'bytes BLOB NOT NULL, ' : ''}PRIMARY KEY (repo, rkey)
    ) WITHOUT ROWID`)
  else
    database.exec(`CREATE TABLE ${table} (
      id INTEGER PRIMARY KEY, repo INTEGER NOT NULL, rkey TEXT NOT NULL, cid BLOB NOT NULL, state INTEGER NOT NULL,
      indexedAt INTEGER NOT NULL, sortAt INTEGER NOT NULL${declared.map((column) => `, ${column}`).join('')},
      bytes BLOB NOT NULL
    )`)
  if (collection.search.length > 0) {
    const columns = collection.search.map((index) => quote(collection.columns[index]?.name ?? ''))
    database.exec(`CREATE VIRTUAL TABLE ${quote(searchTable(collection))} USING fts5(
      ${columns.join(', ')}, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
    )`)
  }
}

export function createIndexes(database: DatabaseSync, collection: CollectionSchema): void {
  const create = (columns: readonly string[], where: string): void => {
    const name = quote(`ix_${collection.name}_${columns.join('_')}`)
    database.exec(
      `CREATE INDEX IF NOT EXISTS ${name} ON ${quote(collection.name)} (${columns.map(quote).join(', ')})${where}`,
    )
  }
  // Every query orders by one column with ties in the same direction, so a backwards scan serves descending order.
  for (const index of collection.indexes)
    create(
      index.map((part) => part.replace(/^-/, '')).map((name) => (name === 'did' ? 'repo' : name)),
      ' WHERE state = 0',
    )
  for (const column of collection.columns)
    if (column.index) create([column.name], ' WHERE state = 0')
  if (collection.maxAgeMs !== undefined)
    database.exec(
      `CREATE INDEX IF NOT EXISTS ${quote(`ix_${collection.name}_age`)} ON ${quote(collection.name)} ("sortAt")`,
    )
  if (!uniqueByLink(collection) && collection.unique.length > 0)
    create(['repo', ...uniqueColumns(collection), 'rkey'], '')
}

function sqlType(column: ColumnSchema): string {
  switch (column.kind) {
    case 'text':
    case 'json':
      return 'TEXT'
    case 'integer':
    case 'boolean':
    case 'datetime':
    case 'uri':
    case 'did':
      return 'INTEGER'
  }
}
