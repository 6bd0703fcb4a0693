import type { DatabaseSync } from 'node:sqlite'

import { addedColumns } from '../../column-change.ts'
import { SchemaMismatchError } from '../../errors.ts'
import { asideTable, begunTable, keepsColumns, oldTable } from '../../old-table.ts'
import type { OldTable, RebuildState } from '../../old-table.ts'
import type { CollectionSchema, ColumnSchema, Schema } from '../../schema.ts'
import { shadowName, shadowOf, tableOfShadow } from '../../shadow.ts'
import { REPLACED, replacedCounters } from '../remains.ts'
import { decodeStored, holdersOf, isOf } from '../stored-collection.ts'
import type { StoredCollection } from '../stored-collection.ts'
import { fillKey, quote, searchTable, uniqueByLink, uniqueColumns } from '../table-names.ts'

/** Version of the tables that every index has; raised when their layout changes. */
const LAYOUT_VERSION = 4

const BASE_TABLES = `
CREATE TABLE IF NOT EXISTS ix_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_collection (
  nsid TEXT PRIMARY KEY, name TEXT NOT NULL, fingerprint TEXT NOT NULL, filling INTEGER NOT NULL DEFAULT 0, rebuild TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_actor (
  id INTEGER PRIMARY KEY,
  did TEXT NOT NULL UNIQUE,
  handle TEXT,
  rev TEXT,
  data BLOB,
  sync INTEGER NOT NULL DEFAULT 0,
  active INTEGER NOT NULL DEFAULT 1,
  status TEXT,
  handleDue INTEGER NOT NULL DEFAULT 0,
  sweep INTEGER NOT NULL DEFAULT 0,
  sweepAt TEXT NOT NULL DEFAULT '',
  deadDropped INTEGER NOT NULL DEFAULT 0,
  parked INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  dueAt INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS ix_actor_handle ON ix_actor (handle) WHERE handle IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_actor_fetch ON ix_actor (dueAt) WHERE sync IN (1, 2);
CREATE INDEX IF NOT EXISTS ix_actor_sweep ON ix_actor (id) WHERE sweep <> 0;
CREATE INDEX IF NOT EXISTS ix_actor_due_handle ON ix_actor (handleDue) WHERE handleDue <> 0;
CREATE INDEX IF NOT EXISTS ix_actor_dropped ON ix_actor (id) WHERE deadDropped <> 0;
CREATE TABLE IF NOT EXISTS ix_nsid (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ix_space (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ix_reason (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ix_counter_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ix_path (id INTEGER PRIMARY KEY, space INTEGER NOT NULL, path TEXT NOT NULL, UNIQUE (space, path));
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
  recipient INTEGER NOT NULL, sortAt INTEGER NOT NULL, repo INTEGER NOT NULL, space INTEGER NOT NULL, rkey TEXT NOT NULL,
  reason INTEGER NOT NULL, subject INTEGER NOT NULL,
  PRIMARY KEY (recipient, sortAt, repo, space, rkey, reason)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ix_dead (
  repo INTEGER NOT NULL, space INTEGER NOT NULL, rkey TEXT NOT NULL, cid BLOB NOT NULL, reason TEXT NOT NULL,
  at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (repo, space, rkey)
);
CREATE TABLE IF NOT EXISTS ix_gate (
  dependency TEXT NOT NULL, space INTEGER NOT NULL, repo INTEGER NOT NULL, rkey TEXT NOT NULL,
  PRIMARY KEY (dependency, space, repo, rkey)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_gate_row ON ix_gate (space, repo, rkey);
CREATE TABLE IF NOT EXISTS ix_gate_due (
  space INTEGER NOT NULL, repo INTEGER NOT NULL, rkey TEXT NOT NULL, PRIMARY KEY (space, repo, rkey)
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
    for (const { nsid } of readAll(database)) dropOutdated(database, nsid, schema.byNsid.get(nsid))
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
  const stored = readStored(database, collection)
  if (stored === undefined) {
    makeRoom(database, collection)
    createTables(database, collection)
    database
      .prepare('INSERT INTO ix_collection (nsid, name, fingerprint) VALUES (?, ?, ?)')
      .run(collection.nsid, collection.name, collection.fingerprint)
  } else {
    const { rebuild, filling } = stored
    if (rebuild === undefined && !isOf(stored, collection)) {
      // Rows that are being filled are so for the declaration before: this one begins anew.
      const added = filling ? undefined : addedColumns(collection, stored.name, stored.fingerprint)
      if (added !== undefined) addColumns(database, collection, added)
      else {
        checkSource(database, collection, stored, canFetch)
        beginRebuild(database, collection, false)
      }
    }
  }
  if (readStored(database, collection)?.rebuild === undefined) createIndexes(database, collection)
}

/** The tables of every collection that was ever declared. */
function readAll(database: DatabaseSync): { nsid: string; table: OldTable }[] {
  return database
    .prepare('SELECT nsid, name, fingerprint FROM ix_collection')
    .all()
    .map((row) => ({
      nsid: String(row['nsid']),
      table: oldTable(String(row['name']), String(row['fingerprint'])),
    }))
}

/** Whoever holds a table under a name that a collection takes gives that name up; its rows stay, to be derived again. */
function makeRoom(database: DatabaseSync, collection: CollectionSchema): void {
  for (const { nsid, table } of holdersOf(collection, readAll(database))) {
    const names = new Set(readAll(database).map((other) => other.table.name))
    let n = 1
    while (names.has(asideTable(n))) n++
    const name = asideTable(n)
    const indexes = database
      .prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
      )
      .all(table.name)
    for (const index of indexes) database.exec(`DROP INDEX ${quote(String(index['name']))}`)
    for (const own of table.own) database.exec(`DROP TABLE ${quote(own)}`)
    database.exec(`ALTER TABLE ${quote(table.name)} RENAME TO ${quote(name)}`)
    if (table.searched)
      database.exec(
        `ALTER TABLE ${quote(searchTable(table))} RENAME TO ${quote(searchTable({ name }))}`,
      )
    database
      .prepare('UPDATE ix_collection SET name = ?, filling = 0 WHERE nsid = ?')
      .run(name, nsid)
  }
}

/** Reads what is stored of a collection. */
export function readStored(
  database: DatabaseSync,
  { nsid }: Pick<CollectionSchema, 'nsid'>,
): StoredCollection | undefined {
  const row = database
    .prepare('SELECT name, fingerprint, filling, rebuild FROM ix_collection WHERE nsid = ?')
    .get(nsid)
  return row === undefined ? undefined : decodeStored(row)
}

function checkSource(
  database: DatabaseSync,
  collection: CollectionSchema,
  stored: StoredCollection,
  canFetch: boolean,
): void {
  const old = oldTable(stored.name, stored.fingerprint)
  if (old.keepsRecord || canFetch || keepsColumns(collection, old)) return
  if (database.prepare(`SELECT 1 AS one FROM ${quote(old.name)} LIMIT 1`).get() === undefined)
    return
  throw new SchemaMismatchError(
    collection.name,
    'its rows keep no record to derive from; hand in fetchRepo to fetch them again',
  )
}

/** Makes the tables that rows are derived into, and stores that they are to be filled: a crash is before or after it. */
export function beginRebuild(
  database: DatabaseSync,
  collection: CollectionSchema,
  refetch: boolean,
): void {
  dropOutdated(database, collection.nsid, undefined)
  const shadow = shadowOf(collection)
  createTables(database, shadow)
  createIndexes(database, shadow)
  const { name, fingerprint, nsid } = collection
  const state: RebuildState = { name, fingerprint, refetch, after: [] }
  database
    .prepare('UPDATE ix_collection SET rebuild = ?, filling = 0 WHERE nsid = ?')
    .run(JSON.stringify(state), nsid)
}

/** Drops what was derived so far for a declaration that is not the one wanted. */
function dropOutdated(
  database: DatabaseSync,
  nsid: string,
  wanted: CollectionSchema | undefined,
): void {
  const rebuild = readStored(database, { nsid })?.rebuild
  if (rebuild === undefined || (wanted !== undefined && isOf(rebuild, wanted))) return
  const begun = begunTable(rebuild)
  dropTables(database, begun)
  replaceName(database, 'ix_space', shadowName(nsid))
  for (const counter of begun.counters)
    replaceName(database, 'ix_counter_name', shadowName(counter))
  database.prepare("DELETE FROM ix_meta WHERE key = 'remains'").run()
  database.prepare('UPDATE ix_collection SET rebuild = NULL WHERE nsid = ?').run(nsid)
}

function dropTables(database: DatabaseSync, { name, searched, own }: OldTable): void {
  for (const table of own) database.exec(`DROP TABLE ${quote(table)}`)
  database.exec(`DROP TABLE ${quote(name)}`)
  if (searched) database.exec(`DROP TABLE ${quote(searchTable({ name }))}`)
}

/** Gives a name up to whoever takes it; what was under it is removed later. */
function replaceName(database: DatabaseSync, table: string, name: string): void {
  database
    .prepare(`UPDATE ${table} SET name = name || '${REPLACED}' || id WHERE name = ?`)
    .run(name)
}

/** Puts what was derived in the place of what was there. */
export function swapIn(
  database: DatabaseSync,
  schema: Schema,
  collection: CollectionSchema,
  from: OldTable,
): void {
  const { name, nsid, space, fingerprint } = collection
  const shadow = shadowOf(collection)
  const take = (table: string, name: string): void => {
    replaceName(database, table, name)
    database.prepare(`UPDATE ${table} SET name = ? WHERE name = ?`).run(name, shadowName(name))
  }
  dropTables(database, from)
  makeRoom(database, collection)
  for (const own of shadow.derive?.tables ?? [])
    database.exec(`ALTER TABLE ${quote(own.table)} RENAME TO ${quote(own.name)}`)
  database.exec(`ALTER TABLE ${quote(shadow.name)} RENAME TO ${quote(name)}`)
  if (collection.search.length > 0)
    database.exec(
      `ALTER TABLE ${quote(searchTable(shadow))} RENAME TO ${quote(searchTable(collection))}`,
    )
  // Records that were refused before have not been judged again yet.
  database.exec(`INSERT OR IGNORE INTO ix_space (name) VALUES ('${shadow.space}')`)
  const spaceId = (of: string): string => `(SELECT id FROM ix_space WHERE name = '${of}')`
  database.exec(
    `UPDATE OR IGNORE ix_dead SET space = ${spaceId(shadow.space)} WHERE space = ${spaceId(space)}`,
  )
  take('ix_space', space)
  const others = new Set(
    database
      .prepare('SELECT name, fingerprint FROM ix_collection WHERE nsid <> ?')
      .all(nsid)
      .flatMap((row) => oldTable(String(row['name']), String(row['fingerprint'])).counters),
  )
  const declared = collection.counters.map((counter) => counter.name)
  for (const counter of replacedCounters(declared, from.counters, others))
    take('ix_counter_name', counter)
  for (const { gate, space: gated } of schema.collections)
    if (gate?.dependsOn.has(name) === true)
      database.exec(
        `INSERT OR IGNORE INTO ix_gate_due SELECT DISTINCT space, repo, rkey FROM ix_gate WHERE space = ${spaceId(gated)}`,
      )
  database.prepare("DELETE FROM ix_meta WHERE key = 'remains'").run()
  database
    .prepare('UPDATE ix_collection SET name = ?, fingerprint = ?, rebuild = NULL WHERE nsid = ?')
    .run(name, fingerprint, nsid)
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
    .prepare('UPDATE ix_collection SET fingerprint = ?, filling = 1 WHERE nsid = ?')
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
  for (const { table: own, columns, indexes } of collection.derive?.tables ?? []) {
    database.exec(`CREATE TABLE ${quote(own)} (${columns})`)
    for (const list of indexes) createOwnIndex(database, own, list)
  }
}

function createOwnIndex(database: DatabaseSync, table: string, columns: string): void {
  const find = database.prepare(
    "SELECT 1 AS one FROM sqlite_schema WHERE type = 'index' AND name = ?",
  )
  let n = 1
  while (find.get(`ix_own_${n}`) !== undefined) n++
  database.exec(`CREATE INDEX ix_own_${n} ON ${quote(table)} (${columns})`)
}

/** Creates the indexes that are missing. A table that took another's place keeps the names of its indexes. */
export function createIndexes(database: DatabaseSync, collection: CollectionSchema): void {
  const { name: table } = collection
  const find = database.prepare(
    "SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?",
  )
  const create = (columns: readonly string[], where: string): void => {
    const names = ['ix', 'ix2'].map(
      (start) => `${start}_${tableOfShadow(table)}_${columns.join('_')}`,
    )
    const tables = names.map((name) => find.get(name)?.['tbl_name'])
    const free = names[tables.indexOf(undefined)]
    if (tables.includes(table) || free === undefined) return
    database.exec(
      `CREATE INDEX ${quote(free)} ON ${quote(table)} (${columns.map(quote).join(', ')})${where}`,
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
  if (collection.maxAgeMs !== undefined) create(['sortAt'], '')
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
