import type { CollectionSchema } from './schema.ts'
import { shadowTable } from './shadow.ts'

/** A collection's table as an earlier declaration laid it out. */
export interface OldTable {
  readonly name: string
  readonly edge: boolean
  readonly keepsRecord: boolean
  /** Names of its own columns. */
  readonly columns: readonly string[]
  readonly counters: readonly string[]
  readonly searched: boolean
  /** Names of the tables it derives. */
  readonly own: readonly string[]
  readonly fingerprint: string
}

/** What a rebuild of a collection has to go on with. Stored, so that a crash in the middle changes nothing. */
export interface RebuildState {
  /** The declaration the rows are derived for. */
  readonly name: string
  readonly fingerprint: string
  /** Whether repos of rows that kept no record are fetched again although their columns are known. */
  readonly refetch: boolean
  /** Position of the last row that was read; empty at the start. */
  readonly after: readonly (string | number)[]
}

/** The parts of a fingerprint that are looked at; see `compileSchema`. */
interface Printed {
  readonly version: number
  readonly edge: boolean
  readonly keepsRecord: boolean
  readonly sortBy?: string
  readonly columns: readonly (readonly [string, string, string, boolean])[]
  readonly counters: readonly (readonly [string, ...unknown[]])[]
  readonly search: readonly string[]
  readonly derive?: { readonly tables: Readonly<Record<string, string>> }
}

/** Begins names of tables that had to give up their own before their rows were derived again. */
const ASIDE_TABLE = 'ix_old_'

/** Name of the nth table that gave up its own. */
export function asideTable(n: number): string {
  return `${ASIDE_TABLE}${n}`
}

/** Reads what an earlier declaration says of its table. */
export function oldTable(name: string, fingerprint: string): OldTable {
  // Written by `compileSchema`.
  const { edge, keepsRecord, columns, counters, search, derive } = JSON.parse(
    fingerprint,
  ) as Printed
  return {
    name,
    edge,
    keepsRecord,
    columns: columns.map(([column]) => column),
    counters: counters.map(([counter]) => counter),
    searched: search.length > 0,
    // What gave up its name has no own tables any more.
    own: name.startsWith(ASIDE_TABLE) ? [] : Object.keys(derive?.tables ?? {}),
    fingerprint,
  }
}

/** The tables a rebuild has made so far. */
export function begunTable({ name, fingerprint }: RebuildState): OldTable {
  const begun = oldTable(shadowTable(name), fingerprint)
  return { ...begun, own: begun.own.map(shadowTable) }
}

/** The table of a collection as it is. */
export function tableOf({ name, fingerprint }: CollectionSchema): OldTable {
  return oldTable(name, fingerprint)
}

/** Whether every column of a collection is a column of the old table too, and what computes it is the same. */
export function keepsColumns(collection: CollectionSchema, old: OldTable): boolean {
  if (collection.keepsRecord) return false
  if (collection.fingerprint === old.fingerprint) return true
  // Both were written by `compileSchema`.
  const [before, after] = [old.fingerprint, collection.fingerprint].map(
    (text) => JSON.parse(text) as Printed,
  )
  if (before === undefined || after === undefined) return false
  if (before.version !== after.version || before.sortBy !== after.sortBy) return false
  const known = new Set(before.columns.map(([name, kind, path]) => `${name} ${kind} ${path}`))
  return after.columns.every(
    ([name, kind, path]) => path !== 'computed' && known.has(`${name} ${kind} ${path}`),
  )
}
