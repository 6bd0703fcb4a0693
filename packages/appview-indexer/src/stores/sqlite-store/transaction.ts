import type { DatabaseSync, StatementSync } from 'node:sqlite'

import type { TransactionSql } from '../../collection.ts'
import { plainColumns } from '../../column-change.ts'
import type { OldTable } from '../../old-table.ts'
import type { CollectionSchema, Schema } from '../../schema.ts'
import { shadowTable } from '../../shadow.ts'
import type {
  ActorState,
  ChangeSet,
  DeadTally,
  GatedKey,
  IndexTransaction,
  LabelKey,
  LabelRow,
  NameKind,
  RowKey,
  OldRow,
  RebuildTask,
  StoredKey,
  StoredRow,
  StoredValue,
  UnfilledRow,
} from '../transaction.ts'
import { BOUND_LIMIT } from '../bound-limit.ts'
import { LAST_REMAINS, readRemains, replaced, WALKS, walkSql } from '../remains.ts'
import type { Remains } from '../remains.ts'
import { oldColumns, rebuildTasks } from '../stored-collection.ts'
import { decodeLabelRow, decodeOldRow } from '../stored-row.ts'
import { fillKey, ownTables, quote } from '../table-names.ts'
import { ActorTable } from './actor-table.ts'
import { CollectionTable } from './collection-table.ts'
import { Interner } from './interner.ts'
import { beginRebuild, readStored, swapIn } from './layout.ts'

/** A key as it is stored. */
type Key = Readonly<Record<string, string | number>>

/** Every statement of the write side, prepared once. Valid inside an open transaction only. */
export class SqliteTransaction implements IndexTransaction {
  /** By name: a collection and its shadow have one each. Made when first needed, as tables come and go. */
  readonly #tables = new Map<string, CollectionTable>()
  readonly #schema: Schema
  readonly #actors: ActorTable
  readonly #names: Interner
  readonly #statements: Readonly<Record<keyof typeof STATEMENTS, StatementSync>>
  readonly #database: DatabaseSync
  readonly #own = new Map<string, StatementSync>()
  #dead: DeadTally = { letters: 0, bytes: 0 }

  constructor(database: DatabaseSync, schema: Schema) {
    this.#database = database
    this.#schema = schema
    this.#actors = new ActorTable(database)
    this.#names = new Interner(database)
    const entries = Object.entries(STATEMENTS).map(([name, sql]) => [name, database.prepare(sql)])
    // Object.entries forgets the literal keys; the record has exactly those of STATEMENTS.
    this.#statements = Object.fromEntries(entries) as Record<keyof typeof STATEMENTS, StatementSync>
    this.reset()
  }

  /** Drops what was remembered from a transaction that did not happen. */
  reset(): void {
    this.#actors.forget()
    this.#names.forget()
    this.#dead = tallyOf(this.#statements.countDead.get())
  }

  actors(dids: readonly string[], create: boolean): (ActorState | undefined)[] {
    return dids.map((did) => {
      const actor = this.#actors.find(did) ?? (create ? this.#actors.add(did) : undefined)
      if (actor !== undefined) this.#names.rememberDid(did, actor.id)
      return actor
    })
  }

  actorsById(ids: readonly number[]): ActorState[] {
    return ids.flatMap((id) => this.#actors.byId(id) ?? [])
  }

  putActors(actors: readonly ActorState[]): void {
    for (const actor of actors) this.#actors.put(actor)
  }

  setHandle(actor: ActorState, handle: string | undefined): void {
    this.#actors.setHandle(actor, handle)
  }

  dueActors(
    what: 'fetch' | 'sweep' | 'handle' | 'dropped',
    now: number,
    limit: number,
  ): ActorState[] {
    return this.#actors.due(what, now, limit)
  }

  requeueFetching(from: number, to: number): void {
    this.#actors.requeueFetching(from, to)
  }

  targets(refs: readonly string[]): number[] {
    return refs.map((ref) => this.#names.target(ref))
  }

  describeTargets(ids: readonly number[]): string[] {
    return ids.map((id) => this.#names.describe(id))
  }

  names(kind: NameKind, names: readonly string[]): number[] {
    return names.map((name) => this.#names.name(kind, name))
  }

  paths(space: number, paths: readonly string[]): number[] {
    return paths.map((path) => this.#names.path(space, path))
  }

  rows(collection: CollectionSchema, keys: readonly RowKey[]): (StoredRow | undefined)[] {
    const table = this.#table(collection)
    return keys.map((key) => table.read(key))
  }

  candidates(
    collection: CollectionSchema,
    keys: readonly { readonly repo: number; readonly values: readonly StoredValue[] }[],
    limits: readonly number[],
  ): string[][] {
    const table = this.#table(collection)
    const space = this.#names.name('space', collection.space)
    const path = (column: string): number => this.#names.path(space, column)
    return keys.map(({ repo, values }, index) =>
      table.candidates(repo, values, limits[index] ?? 1, path),
    )
  }

  repoKeys(collection: CollectionSchema, repo: number, after: string, limit: number): StoredKey[] {
    return this.#table(collection).keys(repo, after, limit)
  }

  deadKeys(repo: number, space: number): StoredKey[] {
    return this.#statements.deadKeys.all(repo, space).map((row) => ({
      rkey: String(row['rkey']),
      // The column is a BLOB.
      cid: row['cid'] as Uint8Array,
      state: 0,
    }))
  }

  countDead(repos: readonly number[]): { all: DeadTally; accounts: DeadTally[] } {
    const accounts = repos.map((repo) => tallyOf(this.#statements.countDeadOf.get(repo)))
    return { all: this.#dead, accounts }
  }

  expired(collection: CollectionSchema, before: number, limit: number): RowKey[] {
    return this.#table(collection).expired(before, limit)
  }

  write(changes: ChangeSet): void {
    const { deleteLink, putLink, putCounter } = this.#statements
    for (const { collection, id } of changes.searchDeletes) this.#table(collection).searchDelete(id)
    for (const { collection, key, id } of changes.rowDeletes)
      this.#table(collection).delete(key, id)
    for (const link of changes.linkDeletes)
      deleteLink.run(link.target, link.path, link.repo, link.rkey)
    for (const row of changes.notificationDeletes)
      this.#statements.deleteNotification.run(
        row.recipient,
        row.sortAt,
        row.repo,
        row.space,
        row.rkey,
        row.reason,
      )
    for (const { collection, row } of changes.rowPuts) this.#table(collection).put(row)
    for (const { collection, key, id, state } of changes.rowStates)
      this.#table(collection).setState(key, id, state)
    // Neighbours in the tree share pages: in key order a batch touches each page once.
    changes.linkPuts.sort((left, right) => left.target - right.target || left.path - right.path)
    for (const link of changes.linkPuts) putLink.run(link.target, link.path, link.repo, link.rkey)
    const targets = [...changes.counters.keys()].sort((left, right) => left - right)
    for (const target of targets)
      for (const [counter, difference] of changes.counters.get(target) ?? [])
        if (difference !== 0) putCounter.run(target, counter, difference)
    for (const row of changes.notificationPuts)
      this.#statements.putNotification.run(
        row.recipient,
        row.sortAt,
        row.repo,
        row.space,
        row.rkey,
        row.reason,
        row.subject,
      )
    for (const { collection, id, texts } of changes.searchPuts)
      this.#table(collection).searchPut(id, texts)
    this.#writeDeadLetters(changes)
    this.#writeGates(changes)
    for (const { collection, sign, row } of changes.derived)
      collection.derive?.[sign === 1 ? 'added' : 'removed'](row, this.#sql, ownTables(collection))
  }

  unfilled(): CollectionSchema[] {
    const nsids = this.#statements.unfilled.all().map((row) => String(row['nsid']))
    return this.#schema.collections.filter(({ nsid }) => nsids.includes(nsid))
  }

  takeUnfilled(collection: CollectionSchema, limit: number): UnfilledRow[] {
    const key = fillKey(collection)
    const after = Number(this.#statements.recall.get(key)?.['value'] ?? 0)
    const rows = this.#database
      .prepare(
        `SELECT id, bytes FROM ${quote(collection.name)} WHERE id > ? ORDER BY id ${BOUND_LIMIT}`,
      )
      .all(after, limit)
    const last = rows.at(-1)
    this.remember(key, String(last?.['id'] ?? 0))
    if (last === undefined) this.#statements.endFilling.run(collection.nsid)
    // The column is a BLOB.
    return rows.map((row) => ({ id: Number(row['id']), bytes: row['bytes'] as Uint8Array }))
  }

  fill(
    collection: CollectionSchema,
    rows: readonly { readonly id: number; readonly values: readonly StoredValue[] }[],
  ): void {
    const columns = plainColumns(collection).map((name) => `${quote(name)} = ?`)
    const statement = this.#database.prepare(
      `UPDATE ${quote(collection.name)} SET ${columns.join(', ')} WHERE id = ?`,
    )
    for (const { id, values } of rows) statement.run(...values, id)
  }

  remember(key: string, value: string): void {
    this.#statements.remember.run(key, value)
  }

  rebuilds(): RebuildTask[] {
    return rebuildTasks(this.#schema, this.#statements.rebuilds.all())
  }

  beginRebuild(collection: CollectionSchema, refetch: boolean): void {
    this.#tables.delete(shadowTable(collection.name))
    beginRebuild(this.#database, collection, refetch)
    this.#names.forget()
  }

  rowsAfter(
    from: OldTable,
    collection: CollectionSchema,
    after: readonly (string | number)[],
    limit: number,
  ): OldRow[] {
    const key = from.edge ? 'repo, rkey' : 'id'
    const marks = from.edge ? '?, ?' : '?'
    return this.#database
      .prepare(
        `SELECT ${oldColumns(from, collection, quote)} FROM ${quote(from.name)}
         ${after.length > 0 ? `WHERE (${key}) > (${marks})` : ''} ORDER BY ${key} ${BOUND_LIMIT}`,
      )
      .all(...after, limit)
      .map((row) => decodeOldRow(from, collection, row))
  }

  continueAfter(collection: CollectionSchema, after: readonly (string | number)[]): void {
    const rebuild = readStored(this.#database, collection)?.rebuild
    this.#statements.setRebuild.run(JSON.stringify({ ...rebuild, after }), collection.nsid)
  }

  swap({ collection, from }: RebuildTask): void {
    swapIn(this.#database, this.#schema, collection, from)
    this.#tables.delete(collection.name)
    this.#tables.delete(shadowTable(collection.name))
    this.#names.forget()
  }

  dropRemains(limit: number): boolean {
    if (this.#statements.hasRemains.get() === undefined) return false
    const { walk: at, after } = readRemains(this.#statements.recall.get('remains')?.['value'])
    const walk = WALKS[at]
    if (walk === undefined) {
      for (const sql of LAST_REMAINS) this.#database.exec(sql)
      this.#names.forget()
      return true
    }
    const start = after.length > 0
    const { end: find } = walkSql(walk, start, false, quote)
    // The columns are integers and texts.
    const end = this.#database.prepare(find).get(...after, limit) as Key | undefined
    const until = end === undefined ? [] : walk.keys.map((key) => end[key] ?? 0)
    const { remove } = walkSql(walk, start, end !== undefined, quote)
    this.#database.prepare(remove).run(...after, ...until)
    const next: Remains =
      end === undefined ? { walk: at + 1, after: [] } : { walk: at, after: until }
    this.remember('remains', JSON.stringify(next))
    return true
  }

  park(repo: number, event: Uint8Array): void {
    this.#statements.park.run(repo, event)
  }

  parked(repo: number): Uint8Array[] {
    return this.#statements.parked.all(repo).map((row) => row['event'] as Uint8Array)
  }

  unpark(repo: number): void {
    this.#statements.unpark.run(repo)
  }

  setCursor(source: string, cursor: number, now: number): void {
    this.#statements.setCursor.run(source, cursor, now)
  }

  labels(keys: readonly LabelKey[]): (LabelRow | undefined)[] {
    return keys.map(({ target, src, val, cid }) => {
      const row = this.#statements.label.get(target, src, val, cid)
      return row === undefined ? undefined : decodeLabelRow(row)
    })
  }

  putLabels(labels: readonly LabelRow[]): void {
    for (const { target, src, val, cid, neg, cts, exp, bytes } of labels)
      this.#statements.putLabel.run(target, src, val, cid, Number(neg), cts, exp ?? null, bytes)
  }

  takeDueGates(limit: number): GatedKey[] {
    const rows = this.#statements.dueGates.all(limit)
    return rows.map((row) => {
      const key = {
        space: Number(row['space']),
        repo: Number(row['repo']),
        rkey: String(row['rkey']),
      }
      this.#statements.gateDone.run(key.space, key.repo, key.rkey)
      return key
    })
  }

  setGateDependencies({ space, repo, rkey }: GatedKey, dependencies: readonly string[]): void {
    this.#statements.forgetGate.run(space, repo, rkey)
    for (const dependency of dependencies)
      this.#statements.addGate.run(dependency, space, repo, rkey)
  }

  hasLinks(
    links: readonly { readonly target: number; readonly path: number; readonly repo: number }[],
  ): boolean[] {
    return links.map(
      ({ target, path, repo }) => this.#statements.hasLink.get(target, path, repo) !== undefined,
    )
  }

  #writeGates(changes: ChangeSet): void {
    for (const { space, repo, rkey } of changes.gateForget) {
      this.#statements.forgetGate.run(space, repo, rkey)
      this.#statements.gateDone.run(space, repo, rkey)
    }
    for (const { space, repo, rkey } of changes.gateDue)
      this.#statements.gateDue.run(space, repo, rkey)
    for (const trigger of changes.gateTriggers) this.#statements.triggerGates.run(trigger)
  }

  /** Runs statements of declarations, each prepared once. */
  readonly #sql: TransactionSql = (text, parameters = []) => {
    let statement = this.#own.get(text)
    if (statement === undefined) {
      if (this.#own.size >= MAX_OWN_STATEMENTS) this.#own.clear()
      this.#own.set(text, (statement = this.#database.prepare(text)))
    }
    statement.run(...parameters)
  }

  #writeDeadLetters(changes: ChangeSet): void {
    let { letters, bytes: size } = this.#dead
    if (letters > 0)
      for (const { repo, space, rkey } of changes.deadDeletes) {
        const gone = this.#statements.deleteDead.get(repo, space, rkey)
        if (gone === undefined) continue
        letters--
        size -= Number(gone['size'])
      }
    for (const row of changes.deadPuts) {
      const { repo, space, rkey, cid, reason, at, bytes } = row
      this.#statements.putDead.run(repo, space, rkey, cid, reason, at, bytes)
      letters++
      size += bytes.length
    }
    this.#dead = { letters, bytes: size }
  }

  #table(collection: CollectionSchema): CollectionTable {
    let table = this.#tables.get(collection.name)
    if (table === undefined) {
      const nsid = this.#names.name('nsid', collection.nsid)
      table = new CollectionTable(this.#database, collection, nsid)
      this.#tables.set(collection.name, table)
    }
    return table
  }
}

function tallyOf(row: Readonly<Record<string, unknown>> | undefined): DeadTally {
  return { letters: Number(row?.['n'] ?? 0), bytes: Number(row?.['size'] ?? 0) }
}

/** Prepared statements of declarations kept; a declaration that interpolates values only slows itself down. */
const MAX_OWN_STATEMENTS = 64

const STATEMENTS = {
  deleteLink: 'DELETE FROM ix_link WHERE target = ? AND path = ? AND repo = ? AND rkey = ?',
  putLink: 'INSERT OR REPLACE INTO ix_link VALUES (?, ?, ?, ?)',
  putCounter:
    'INSERT INTO ix_counter VALUES (?, ?, ?) ON CONFLICT (target, counter) DO UPDATE SET n = n + excluded.n',
  putNotification: 'INSERT OR REPLACE INTO ix_notification VALUES (?, ?, ?, ?, ?, ?, ?)',
  deleteNotification:
    'DELETE FROM ix_notification WHERE recipient = ? AND sortAt = ? AND repo = ? AND space = ? AND rkey = ? AND reason = ?',
  countDead: 'SELECT count(*) AS n, sum(length(bytes)) AS size FROM ix_dead',
  countDeadOf: 'SELECT count(*) AS n, sum(length(bytes)) AS size FROM ix_dead WHERE repo = ?',
  deadKeys: 'SELECT rkey, cid FROM ix_dead WHERE repo = ? AND space = ?',
  putDead:
    'INSERT OR REPLACE INTO ix_dead (repo, space, rkey, cid, reason, at, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)',
  deleteDead:
    'DELETE FROM ix_dead WHERE repo = ? AND space = ? AND rkey = ? RETURNING length(bytes) AS size',
  unfilled: 'SELECT nsid FROM ix_collection WHERE filling = 1 ORDER BY nsid',
  recall: 'SELECT value FROM ix_meta WHERE key = ?',
  rebuilds: 'SELECT * FROM ix_collection WHERE rebuild IS NOT NULL ORDER BY nsid',
  setRebuild: 'UPDATE ix_collection SET rebuild = ? WHERE nsid = ?',
  hasRemains: `${replaced('ix_space')} UNION ALL ${replaced('ix_counter_name')} LIMIT 1`,
  endFilling: 'UPDATE ix_collection SET filling = 0 WHERE nsid = ?',
  dueGates: `SELECT space, repo, rkey FROM ix_gate_due ORDER BY space, repo, rkey ${BOUND_LIMIT}`,
  gateDone: 'DELETE FROM ix_gate_due WHERE space = ? AND repo = ? AND rkey = ?',
  gateDue: 'INSERT OR IGNORE INTO ix_gate_due VALUES (?, ?, ?)',
  triggerGates:
    'INSERT OR IGNORE INTO ix_gate_due SELECT space, repo, rkey FROM ix_gate WHERE dependency = ?',
  forgetGate: 'DELETE FROM ix_gate WHERE space = ? AND repo = ? AND rkey = ?',
  addGate: 'INSERT OR IGNORE INTO ix_gate VALUES (?, ?, ?, ?)',
  hasLink: 'SELECT 1 AS one FROM ix_link WHERE target = ? AND path = ? AND repo = ? LIMIT 1',
  park: 'INSERT INTO ix_parked (repo, event) VALUES (?, ?)',
  parked: 'SELECT event FROM ix_parked WHERE repo = ? ORDER BY id',
  unpark: 'DELETE FROM ix_parked WHERE repo = ?',
  setCursor: 'INSERT OR REPLACE INTO ix_source VALUES (?, ?, ?)',
  remember: 'INSERT OR REPLACE INTO ix_meta VALUES (?, ?)',
  label: 'SELECT * FROM ix_label WHERE target = ? AND src = ? AND val = ? AND cid = ?',
  putLabel: 'INSERT OR REPLACE INTO ix_label VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
} as const
