import type { DatabaseSync, StatementSync } from 'node:sqlite'

import type { CollectionSchema } from '../../schema.ts'
import { decodeRow } from '../stored-row.ts'
import type { StoredValues } from '../stored-row.ts'
import { quote, searchTable, storedColumns, uniqueByLink, uniqueColumns } from '../table-names.ts'
import type { RowKey, StoredKey, StoredRow, StoredValue } from '../transaction.ts'
import { BOUND_LIMIT } from '../bound-limit.ts'

/** The prepared statements of one declared collection. */
export class CollectionTable {
  readonly collection: CollectionSchema
  readonly nsid: number
  readonly #read: StatementSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #state: StatementSync
  readonly #keys: StatementSync
  readonly #candidates: StatementSync
  readonly #expired: StatementSync
  readonly #searchPut: StatementSync | undefined
  readonly #searchDelete: StatementSync | undefined

  constructor(database: DatabaseSync, collection: CollectionSchema, nsid: number) {
    this.collection = collection
    this.nsid = nsid
    const table = quote(collection.name)
    const columns = storedColumns(collection)
    const list = columns.map(quote).join(', ')
    const prepare = (sql: string): StatementSync => {
      const statement = database.prepare(sql)
      // Rows as arrays are faster, where Node has them (22.16); see `valuesOf`.
      if ('setReturnArrays' in statement) statement.setReturnArrays(true)
      return statement
    }
    if (collection.edge) {
      this.#read = prepare(`SELECT ${list} FROM ${table} WHERE repo = ? AND rkey = ?`)
      this.#delete = prepare(`DELETE FROM ${table} WHERE repo = ? AND rkey = ?`)
      this.#state = prepare(`UPDATE ${table} SET state = ? WHERE repo = ? AND rkey = ?`)
      this.#keys = prepare(
        `SELECT rkey, cid, state FROM ${table} WHERE repo = ? AND rkey > ? ORDER BY rkey ${BOUND_LIMIT}`,
      )
    } else {
      const prefixed = columns.map((column) => `d.${quote(column)}`).join(', ')
      const join = `FROM ix_uri u CROSS JOIN ${table} d ON d.id = u.id WHERE u.repo = ? AND u.nsid = ${nsid}`
      this.#read = prepare(`SELECT ${prefixed} ${join} AND u.rkey = ?`)
      this.#delete = prepare(`DELETE FROM ${table} WHERE id = ?`)
      this.#state = prepare(`UPDATE ${table} SET state = ? WHERE id = ?`)
      this.#keys = prepare(
        `SELECT u.rkey, d.cid, d.state ${join} AND u.rkey > ? ORDER BY u.rkey ${BOUND_LIMIT}`,
      )
    }
    this.#put = prepare(
      `INSERT OR REPLACE INTO ${table} (${list}) VALUES (${columns.map(() => '?').join(', ')})`,
    )
    this.#candidates = uniqueByLink(collection)
      ? prepare(
          `SELECT rkey FROM ix_link WHERE target = ? AND path = ? AND repo = ? ORDER BY rkey ${BOUND_LIMIT}`,
        )
      : prepare(
          `SELECT rkey FROM ${table} WHERE repo = ?${uniqueColumns(collection)
            .map((column) => ` AND ${quote(column)} = ?`)
            .join('')} ORDER BY rkey ${BOUND_LIMIT}`,
        )
    this.#expired = prepare(
      `SELECT repo, rkey FROM ${table} WHERE "sortAt" < ? ORDER BY "sortAt" LIMIT ?`,
    )
    if (collection.search.length > 0) {
      const search = quote(searchTable(collection))
      const names = collection.search.map((index) => quote(collection.columns[index]?.name ?? ''))
      this.#searchPut = prepare(
        `INSERT INTO ${search} (rowid, ${names.join(', ')}) VALUES (?${', ?'.repeat(names.length)})`,
      )
      this.#searchDelete = prepare(`DELETE FROM ${search} WHERE rowid = ?`)
    }
  }

  read(key: RowKey): StoredRow | undefined {
    const row = this.#read.get(key.repo, key.rkey)
    return row === undefined ? undefined : decodeRow(this.collection, valuesOf(row))
  }

  put(row: StoredRow): void {
    const { repo, rkey, cid, state, indexedAt, sortAt, values } = row
    const { edge } = this.collection
    if (row.bytes === undefined) this.#put.run(repo, rkey, cid, state, indexedAt, sortAt, ...values)
    else if (edge) this.#put.run(repo, rkey, cid, state, indexedAt, sortAt, ...values, row.bytes)
    else this.#put.run(row.id, repo, rkey, cid, state, indexedAt, sortAt, ...values, row.bytes)
  }

  delete(key: RowKey, id: number): void {
    if (this.collection.edge) this.#delete.run(key.repo, key.rkey)
    else this.#delete.run(id)
  }

  setState(key: RowKey, id: number, state: number): void {
    if (this.collection.edge) this.#state.run(state, key.repo, key.rkey)
    else this.#state.run(state, id)
  }

  keys(repo: number, after: string, limit: number): StoredKey[] {
    const rows = this.#keys.all(repo, after, limit)
    return rows.map(valuesOf).map(([rkey, cid, state]) => ({
      rkey: String(rkey),
      cid: cid as Uint8Array,
      state: Number(state),
    }))
  }

  /** Record keys with these unique values, lowest first. `path` is the link path when links answer. */
  candidates(
    repo: number,
    values: readonly StoredValue[],
    limit: number,
    path: (column: string) => number,
  ): string[] {
    const read = (...parameters: readonly StoredValue[]): string[] =>
      this.#candidates.all(...parameters).map((row) => String(valuesOf(row)[0]))
    if (!uniqueByLink(this.collection)) return read(repo, ...values, limit)
    const stored = path(uniqueColumns(this.collection)[0] ?? '') * 2
    const target = values[0] ?? null
    const counting = read(target, stored, repo, limit)
    const others = read(target, stored + 1, repo, limit)
    // One seek each: asked for both at once, SQLite sorts.
    if (others.length === 0) return counting
    if (counting.length === 0) return others
    return [...counting, ...others].toSorted().slice(0, limit)
  }

  expired(before: number, limit: number): RowKey[] {
    const rows = this.#expired.all(before, limit).map(valuesOf)
    return rows.map(([repo, rkey]) => ({ repo: Number(repo), rkey: String(rkey) }))
  }

  searchPut(id: number, texts: readonly string[]): void {
    this.#searchPut?.run(id, ...texts)
  }

  searchDelete(id: number): void {
    this.#searchDelete?.run(id)
  }
}

/** The values of a row in the order of the column list, whether Node gave an array or an object. */
function valuesOf(row: unknown): StoredValues {
  // Statements of this file give these types only.
  return (Array.isArray(row) ? row : Object.values(row as object)) as StoredValues
}
