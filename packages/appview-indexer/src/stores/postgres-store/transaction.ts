import type { ClientBase } from 'pg'

import { plainColumns } from '../../column-change.ts'
import type { OldTable } from '../../old-table.ts'
import type { CollectionSchema, Schema } from '../../schema.ts'
import type { Shard } from '../../shard.ts'
import { storableText } from '../../storable-text.ts'
import { LAST_REMAINS, readRemains, replaced, WALKS, walkSql } from '../remains.ts'
import type { Remains } from '../remains.ts'
import { oldColumns, rebuildTasks } from '../stored-collection.ts'
import { decodeActor, decodeOldRow, decodeRow } from '../stored-row.ts'
import type { StoredValues } from '../stored-row.ts'
import { fillKey, quote, storedColumns, uniqueByLink, uniqueColumns } from '../table-names.ts'
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
import { ActorTable } from './actor-table.ts'
import { arrayBytes, columnsBytes, valueType } from './array-bytes.ts'
import { bind } from './bind.ts'
import { isAborted } from './connection.ts'
import type { Interner } from './interner.ts'
import { putLabelRows, readLabelRows } from './label-rows.ts'
import { beginRebuild, readStored, swapIn } from './layout.ts'
import type { Run, Send } from './run.ts'
import { writeChanges } from './write-changes.ts'

/** Most statements that are kept prepared. */
const MAX_PREPARED = 900

/** A key as it is stored. */
type Key = Readonly<Record<string, string | number>>

/**
 * The write side on one connection, inside an open transaction. Every question is one statement, however many keys.
 * What is written is sent and not waited for: statements are carried out in order, and `commit` meets their failures.
 */
export class PostgresTransaction implements IndexTransaction {
  readonly #client: ClientBase
  readonly #names: Interner
  readonly #actors: ActorTable
  readonly #schema: Schema
  readonly #shard: Shard
  readonly #prepared = new Map<string, string>()
  #sent: Promise<unknown>[] = []
  #failure: { readonly error: unknown } | undefined

  constructor(client: ClientBase, names: Interner, schema: Schema, shard: Shard) {
    this.#client = client
    this.#names = names
    this.#actors = new ActorTable(names, shard)
    this.#schema = schema
    this.#shard = shard
  }

  /** Begins with the statement; the answer is not waited for. */
  begin(statement: string): void {
    this.#sent = []
    this.#failure = undefined
    this.#keep(this.#client.query(statement))
  }

  /** Commits. @throws what the first statement that failed threw: nothing was stored then */
  async commit(): Promise<void> {
    const committed = this.#client.query('COMMIT')
    this.#keep(committed)
    await Promise.all(this.#sent)
    this.#sent = []
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Undoes everything, and forgets what was remembered from it. @throws when the connection is gone */
  async rollBack(): Promise<void> {
    this.#actors.forget()
    await this.#client.query('ROLLBACK')
  }

  /** What an error goes back to: after a statement that failed, the server refuses all others of the transaction. */
  causeOf(error: unknown): unknown {
    return isAborted(error) ? (this.#failure?.error ?? error) : error
  }

  actors(dids: readonly string[], create: boolean): Promise<(ActorState | undefined)[]> {
    return this.#actors.find(this.#run, dids, create)
  }

  async actorsById(ids: readonly number[]): Promise<ActorState[]> {
    const rows = await this.#run(
      'SELECT * FROM ix_actor WHERE id = ANY($1::bigint[]) ORDER BY id',
      [arrayBytes('bigint', ids)],
    )
    return rows.map(decodeActor)
  }

  putActors(actors: readonly ActorState[]): void {
    this.#actors.put(this.#send, actors)
  }

  async setHandle(actor: ActorState, handle: string | undefined): Promise<void> {
    const stored = handle === undefined ? null : storableText(handle)
    if (stored !== null)
      for (const { did } of await this.#run(
        'UPDATE ix_actor SET handle = NULL WHERE handle = $1 AND id <> $2 RETURNING did',
        [stored, actor.id],
      ))
        this.#actors.forgetOne(String(did))
    this.#send('UPDATE ix_actor SET handle = $1 WHERE id = $2', [stored, actor.id])
    this.#actors.forgetOne(actor.did)
  }

  async dueActors(
    what: 'fetch' | 'sweep' | 'handle' | 'dropped',
    now: number,
    limit: number,
  ): Promise<ActorState[]> {
    const { index, count } = this.#shard
    const where = {
      fetch: 'sync IN (1, 2) AND "dueAt" <= $1 ORDER BY "dueAt"',
      sweep: 'sweep <> 0 AND $1::bigint IS NOT NULL ORDER BY id',
      dropped: '"deadDropped" <> 0 AND sync NOT IN (1, 2) AND $1::bigint IS NOT NULL ORDER BY id',
      handle: '"handleDue" <> 0 AND "handleDue" <= $1 ORDER BY "handleDue"',
    }[what]
    const rows = await this.#run(
      `SELECT * FROM ix_actor WHERE bucket % ${count} = ${index} AND ${where} LIMIT $2`,
      [now, limit],
    )
    // Handles may have been taken away by another process since they were read.
    if (what === 'handle') for (const { did } of rows) this.#actors.forgetOne(String(did))
    return rows.map(decodeActor)
  }

  requeueFetching(from: number, to: number): void {
    const { index, count } = this.#shard
    this.#actors.forget()
    this.#send(
      `UPDATE ix_actor SET sync = $1, "dueAt" = 0 WHERE sync = $2 AND bucket % ${count} = ${index}`,
      [to, from],
    )
  }

  targets(refs: readonly string[]): Promise<number[]> {
    return this.#names.targets(refs)
  }

  describeTargets(ids: readonly number[]): Promise<string[]> {
    return this.#names.describe(ids)
  }

  names(kind: NameKind, names: readonly string[]): Promise<number[]> {
    return this.#names.names(kind, names)
  }

  paths(space: number, paths: readonly string[]): Promise<number[]> {
    return this.#names.paths(space, paths)
  }

  async rows(
    collection: CollectionSchema,
    keys: readonly RowKey[],
  ): Promise<(StoredRow | undefined)[]> {
    const list = storedColumns(collection)
      .map((column) => `d.${quote(column)}`)
      .join(', ')
    const [nsid = 0] = collection.edge ? [] : await this.#names.names('nsid', [collection.nsid])
    const join = collection.edge
      ? `JOIN ${quote(collection.name)} d ON d.repo = k.repo AND d.rkey = k.rkey`
      : `JOIN ix_uri u ON u.repo = k.repo AND u.nsid = ${nsid} AND u.rkey = k.rkey JOIN ${quote(collection.name)} d ON d.id = u.id`
    const { rows } = await this.#client.query<(string | number | Uint8Array | null)[]>({
      name: `rows ${collection.name}`,
      text: `SELECT ${list} FROM unnest($1::bigint[], $2::text[]) k (repo, rkey) ${join}`,
      values: columnsBytes(keys, [
        ['bigint', ({ repo }) => repo],
        ['text', ({ rkey }) => rkey],
      ]),
      rowMode: 'array',
    })
    const found = new Map(
      rows
        .map((row: StoredValues) => decodeRow(collection, row))
        .map((row) => [`${row.repo}/${row.rkey}`, row]),
    )
    return keys.map(({ repo, rkey }) => found.get(`${repo}/${rkey}`))
  }

  async candidates(
    collection: CollectionSchema,
    keys: readonly { readonly repo: number; readonly values: readonly StoredValue[] }[],
    limits: readonly number[],
  ): Promise<string[][]> {
    const names = uniqueColumns(collection)
    const columns = names.map((name, at) => {
      const column = collection.columns.find((declared) => declared.name === name)
      const type = column === undefined ? 'bigint' : valueType(column)
      return {
        name,
        type,
        values: arrayBytes(
          type,
          keys.map(({ values }) => values[at]),
        ),
      }
    })
    let where = columns.map(({ name }, at) => `c.${quote(name)} = k.v${at}`).join(' AND ')
    let table = quote(collection.name)
    if (uniqueByLink(collection)) {
      const [space = 0] = await this.#names.names('space', [collection.space])
      const [path = 0] = await this.#names.paths(space, names)
      where = `c.target = k.v0 AND c.path IN (${path * 2}, ${path * 2 + 1})`
      table = 'ix_link'
    }
    const arrays = columns.map(({ type }, at) => `$${at + 3}::${type}[]`).join(', ')
    const rows = await this.#run(
      `SELECT k.n, found.rkey FROM unnest($1::bigint[], $2::bigint[], ${arrays})
         WITH ORDINALITY k (repo, max, ${columns.map((_, at) => `v${at}`).join(', ')}, n)
       CROSS JOIN LATERAL (
         SELECT c.rkey FROM ${table} c WHERE c.repo = k.repo AND ${where} ORDER BY c.rkey LIMIT k.max
       ) found ORDER BY k.n, found.rkey`,
      [
        arrayBytes(
          'bigint',
          keys.map(({ repo }) => repo),
        ),
        arrayBytes(
          'bigint',
          keys.map((_, at) => limits[at] ?? 1),
        ),
        ...columns.map(({ values }) => values),
      ],
    )
    const found: string[][] = keys.map(() => [])
    for (const row of rows) found[Number(row['n']) - 1]?.push(String(row['rkey']))
    return found
  }

  async repoKeys(
    collection: CollectionSchema,
    repo: number,
    after: string,
    limit: number,
  ): Promise<StoredKey[]> {
    const table = quote(collection.name)
    const [nsid = 0] = collection.edge ? [] : await this.#names.names('nsid', [collection.nsid])
    const rows = await this.#run(
      collection.edge
        ? `SELECT rkey, cid, state FROM ${table} WHERE repo = $1 AND rkey > $2 ORDER BY rkey LIMIT $3`
        : `SELECT u.rkey, d.cid, d.state FROM ix_uri u JOIN ${table} d ON d.id = u.id
           WHERE u.repo = $1 AND u.nsid = ${nsid} AND u.rkey > $2 ORDER BY u.rkey LIMIT $3`,
      [repo, after, limit],
    )
    return rows.map((row) => ({ ...decodeKey(row), state: Number(row['state']) }))
  }

  async deadKeys(repo: number, space: number): Promise<StoredKey[]> {
    const rows = await this.#run('SELECT rkey, cid FROM ix_dead WHERE repo = $1 AND space = $2', [
      repo,
      space,
    ])
    return rows.map((row) => ({ ...decodeKey(row), state: 0 }))
  }

  async expired(collection: CollectionSchema, before: number, limit: number): Promise<RowKey[]> {
    const rows = await this.#run(
      `SELECT repo, rkey FROM ${quote(collection.name)} WHERE "sortAt" < $1 ORDER BY "sortAt" LIMIT $2`,
      [before, limit],
    )
    return rows.map((row) => ({ repo: Number(row['repo']), rkey: String(row['rkey']) }))
  }

  async countDead(repos: readonly number[]): Promise<{ all: DeadTally; accounts: DeadTally[] }> {
    const rows = await this.#run(
      `SELECT 0 AS repo, count(*) AS n, sum(octet_length(bytes)) AS size FROM ix_dead UNION ALL
       SELECT repo, count(*), sum(octet_length(bytes)) FROM ix_dead WHERE repo = ANY($1::bigint[]) GROUP BY repo`,
      [arrayBytes('bigint', repos)],
    )
    const tallies = new Map(
      rows.map(({ repo, n, size }) => [
        Number(repo),
        { letters: Number(n), bytes: Number(size ?? 0) },
      ]),
    )
    const of = (repo: number): DeadTally => tallies.get(repo) ?? { letters: 0, bytes: 0 }
    return { all: of(0), accounts: repos.map(of) }
  }

  write(changes: ChangeSet): void {
    writeChanges(this.#send, changes)
  }

  async takeDueGates(limit: number): Promise<GatedKey[]> {
    const rows = await this.#run(
      `DELETE FROM ix_gate_due WHERE (space, repo, rkey) IN (
         SELECT space, repo, rkey FROM ix_gate_due ORDER BY space, repo, rkey LIMIT $1
       ) RETURNING space, repo, rkey`,
      [limit],
    )
    return rows.map((row) => ({
      space: Number(row['space']),
      repo: Number(row['repo']),
      rkey: String(row['rkey']),
    }))
  }

  setGateDependencies(row: GatedKey, dependencies: readonly string[]): void {
    const key = [row.space, row.repo, row.rkey]
    this.#send('DELETE FROM ix_gate WHERE space = $1 AND repo = $2 AND rkey = $3', key)
    if (dependencies.length > 0)
      this.#send(
        'INSERT INTO ix_gate SELECT unnest($4::text[]), $1, $2, $3 ON CONFLICT DO NOTHING',
        [...key, arrayBytes('text', dependencies)],
      )
  }

  async hasLinks(
    links: readonly { readonly target: number; readonly path: number; readonly repo: number }[],
  ): Promise<boolean[]> {
    const rows = await this.#run(
      `SELECT k.n FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY k (target, path, repo, n)
       WHERE EXISTS (SELECT 1 FROM ix_link l WHERE l.target = k.target AND l.path = k.path AND l.repo = k.repo)`,
      columnsBytes(links, [
        ['bigint', ({ target }) => target],
        ['bigint', ({ path }) => path],
        ['bigint', ({ repo }) => repo],
      ]),
    )
    const found = new Set(rows.map((row) => Number(row['n'])))
    return links.map((_, at) => found.has(at + 1))
  }

  async unfilled(): Promise<CollectionSchema[]> {
    const rows = await this.#run('SELECT nsid FROM ix_collection WHERE filling = 1', [])
    const nsids = new Set(rows.map((row) => String(row['nsid'])))
    return this.#schema.collections.filter(({ nsid }) => nsids.has(nsid))
  }

  async takeUnfilled(collection: CollectionSchema, limit: number): Promise<UnfilledRow[]> {
    const key = fillKey(collection)
    const [position] = await this.#run('SELECT value FROM ix_meta WHERE key = $1', [key])
    const rows = await this.#run(
      `SELECT id, bytes FROM ${quote(collection.name)} WHERE id > $1 ORDER BY id LIMIT $2`,
      [Number(position?.['value'] ?? 0), limit],
    )
    const last = rows.at(-1)
    this.remember(key, String(Number(last?.['id'] ?? 0)))
    if (last === undefined)
      this.#send('UPDATE ix_collection SET filling = 0 WHERE nsid = $1', [collection.nsid])
    // The column is BYTEA.
    return rows.map((row) => ({ id: Number(row['id']), bytes: row['bytes'] as Uint8Array }))
  }

  fill(
    collection: CollectionSchema,
    rows: readonly { readonly id: number; readonly values: readonly StoredValue[] }[],
  ): void {
    const names = plainColumns(collection)
    const types = names.map((name) => {
      const column = collection.columns.find((declared) => declared.name === name)
      return column === undefined ? 'bigint' : valueType(column)
    })
    this.#send(
      `UPDATE ${quote(collection.name)} d SET ${names.map((name, at) => `${quote(name)} = k.v${at}`).join(', ')}
       FROM unnest($1::bigint[], ${types.map((type, at) => `$${at + 2}::${type}[]`).join(', ')})
         k (id, ${names.map((_, at) => `v${at}`).join(', ')}) WHERE d.id = k.id`,
      [
        arrayBytes(
          'bigint',
          rows.map(({ id }) => id),
        ),
        ...types.map((type, at) =>
          arrayBytes(
            type,
            rows.map(({ values }) => values[at]),
          ),
        ),
      ],
    )
  }

  remember(key: string, value: string): void {
    this.#send(
      'INSERT INTO ix_meta VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      [key, value],
    )
  }

  async rebuilds(): Promise<RebuildTask[]> {
    // Locked: processes that open at the same time work at it in turn, and none goes on before it is done.
    const rows = await this.#run(
      'SELECT * FROM ix_collection WHERE rebuild IS NOT NULL ORDER BY nsid FOR UPDATE',
      [],
    )
    // Names may have been given new ids since, by whoever had the lock.
    if (rows.length > 0) this.#names.forget()
    return rebuildTasks(this.#schema, rows)
  }

  async beginRebuild(collection: CollectionSchema, refetch: boolean): Promise<void> {
    await beginRebuild(this.#client, collection, refetch)
    this.#names.forget()
  }

  async rowsAfter(
    from: OldTable,
    collection: CollectionSchema,
    after: readonly (string | number)[],
    limit: number,
  ): Promise<OldRow[]> {
    const key = from.edge ? 'repo, rkey' : 'id'
    const marks = from.edge ? '$2, $3' : '$2'
    const { rows } = await this.#client.query<Record<string, unknown>>(
      `SELECT ${oldColumns(from, collection, quote)} FROM ${quote(from.name)}
       ${after.length > 0 ? `WHERE (${key}) > (${marks})` : ''} ORDER BY ${key} LIMIT $1`,
      [limit, ...after],
    )
    return rows.map((row) => decodeOldRow(from, collection, row))
  }

  async continueAfter(
    collection: CollectionSchema,
    after: readonly (string | number)[],
  ): Promise<void> {
    const stored = await readStored(this.#client, collection)
    this.#send('UPDATE ix_collection SET rebuild = $1 WHERE nsid = $2', [
      JSON.stringify({ ...stored?.rebuild, after }),
      collection.nsid,
    ])
  }

  async swap({ collection, from }: RebuildTask): Promise<void> {
    await swapIn(this.#client, this.#schema, collection, from)
    this.#names.forget()
  }

  async dropRemains(limit: number): Promise<boolean> {
    if (this.#shard.index !== 0) return false
    const [any] = await this.#run(
      `SELECT 1 AS one WHERE EXISTS (${replaced('ix_space')}) OR EXISTS (${replaced('ix_counter_name')})`,
      [],
    )
    if (any === undefined) return false
    const [stored] = await this.#run("SELECT value FROM ix_meta WHERE key = 'remains'", [])
    const { walk: at, after } = readRemains(stored?.['value'])
    const walk = WALKS[at]
    if (walk === undefined) {
      for (const sql of LAST_REMAINS) await this.#client.query(sql)
      this.#names.forget()
      return true
    }
    const start = after.length > 0
    const { end: find } = walkSql(walk, start, false, quote)
    const ask = bind(find, [...after, limit])
    const { rows } = await this.#client.query<Key>(ask.text, [...ask.values])
    const end = rows[0]
    const until = end === undefined ? [] : walk.keys.map((key) => end[key] ?? 0)
    const { remove } = walkSql(walk, start, end !== undefined, quote)
    const removal = bind(remove, [...after, ...until])
    await this.#client.query(removal.text, [...removal.values])
    const next: Remains =
      end === undefined ? { walk: at + 1, after: [] } : { walk: at, after: until }
    this.remember('remains', JSON.stringify(next))
    return true
  }

  park(repo: number, event: Uint8Array): void {
    this.#send('INSERT INTO ix_parked (repo, event) VALUES ($1, $2)', [repo, event])
  }

  async parked(repo: number): Promise<Uint8Array[]> {
    const rows = await this.#run('SELECT event FROM ix_parked WHERE repo = $1 ORDER BY id', [repo])
    // The column is BYTEA.
    return rows.map((row) => row['event'] as Uint8Array)
  }

  unpark(repo: number): void {
    this.#send('DELETE FROM ix_parked WHERE repo = $1', [repo])
  }

  setCursor(source: string, cursor: number, now: number): void {
    this.#send(
      `INSERT INTO ix_source VALUES ($1, $2, $3)
       ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, "updatedAt" = excluded."updatedAt"`,
      [source, cursor, now],
    )
  }

  labels(keys: readonly LabelKey[]): Promise<(LabelRow | undefined)[]> {
    return readLabelRows(this.#run, keys)
  }

  putLabels(labels: readonly LabelRow[]): void {
    putLabelRows(this.#send, labels)
  }

  /**
   * Prepared once a connection: the texts of this store are few, and those of declarations, which may be as many as rows,
   * are kept while there is room. Nothing is sent after a failure: had the transaction not begun, it would count by itself.
   */
  readonly #run: Run = async (sql, parameters) => {
    if (this.#failure !== undefined) throw this.#failure.error
    let name = this.#prepared.get(sql)
    if (name === undefined && this.#prepared.size < MAX_PREPARED)
      this.#prepared.set(sql, (name = `ix${this.#prepared.size}`))
    const named = name === undefined ? {} : { name }
    const query = { ...named, text: sql, values: [...parameters] }
    const { rows } = await this.#client.query<Record<string, unknown>>(query)
    return rows
  }

  readonly #send: Send = (sql, parameters) => {
    this.#keep(this.#run(sql, parameters))
  }

  /** Remembers what `commit` waits for; a failure is kept, not thrown to nobody. */
  #keep(sent: Promise<unknown>): void {
    this.#sent.push(
      sent.catch((error: unknown) => {
        this.#failure ??= { error }
      }),
    )
  }
}

function decodeKey(row: Readonly<Record<string, unknown>>): { rkey: string; cid: Uint8Array } {
  // The column is BYTEA.
  return { rkey: String(row['rkey']), cid: row['cid'] as Uint8Array }
}
