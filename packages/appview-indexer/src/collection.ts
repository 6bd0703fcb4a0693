import type { Column, RecordObject } from './column.ts'
import type { SqlValue } from './sql-value.ts'

/** The declared columns of a collection. */
export type Columns = Readonly<Record<string, Column>>

/** What every indexed row carries beside its declared columns. */
export interface RowBase {
  /** `at://did/collection/rkey`. */
  readonly uri: string
  readonly did: string
  readonly rkey: string
  /** CID text; undefined in collections of layout `edge`, which keep a fingerprint only. */
  readonly cid: string | undefined
  /** When this indexer first saw the record, Unix milliseconds. Local: not part of the state hash. */
  readonly indexedAt: number
  /** `min(createdAt, indexedAt)` in Unix milliseconds: future dates cannot float to the top. Local, like `indexedAt`. */
  readonly sortAt: number
}

/** The typed values of declared columns. */
export type ColumnValues<C extends Columns> = {
  readonly [K in keyof C]: C[K] extends Column<infer V> ? V : never
}

/** One row as queries return it. `record` is the decoded record, undefined in layout `edge`. */
export type Row<C extends Columns = Columns> = RowBase &
  ColumnValues<C> & { readonly record: RecordObject | undefined }

/** What a pure function over a row may read while it is indexed. */
export type RowInput<C extends Columns = Columns> = ColumnValues<C> & {
  readonly uri: string
  readonly did: string
  readonly rkey: string
  /** The decoded record; undefined in layout `edge`, where effects must be computable from the columns alone. */
  readonly record: RecordObject | undefined
}

/** One notification a record causes. Unique on recipient, source record and reason. */
export interface NotificationInput {
  /** DID of the account to notify. */
  readonly recipient: string
  /** `like`, `reply`, `mention` …: at most 64 characters. */
  readonly reason: string
  /** What it is about: an at-uri or a DID. */
  readonly subject?: string | undefined
}

/** What a counter counts on: a `uri` or `did` column, or `'did'` for the author. With `where`, only rows it accepts. */
export type CounterDeclaration<C extends Columns> =
  | (keyof C & string)
  | 'did'
  | {
      readonly on: (keyof C & string) | 'did'
      /** Pure: must depend on the row alone. */
      readonly where: (row: RowInput<C>) => boolean
    }

/** What a gate may look at beside the row. Everything it looked at is remembered, and the gate asked again when it changes. */
export interface GateLookup {
  /** The record at an at-uri, if it is indexed (layout `document`) in a collection of `dependsOn`. */
  record(uri: string): RecordObject | undefined
  /** Whether an account has a counting record in `from` whose `path` names `to`, e.g. whether it follows somebody. */
  linked(query: {
    readonly from: string
    readonly path: string
    readonly did: string
    readonly to: string
  }): boolean
}

/** Decides whether a row counts, from the row and other records. */
export interface GateDeclaration<C extends Columns> {
  /** Short names of the collections that `allow` looks at. Links of a collection with a gate cannot be looked at. */
  readonly dependsOn: readonly string[]
  /** Pure but for the lookup. A row that is not allowed is kept, and counts and shows nowhere. */
  readonly allow: (row: RowInput<C>, lookup: GateLookup) => boolean
}

/** Runs one statement inside the batch's transaction. Parameters are bound. */
export type TransactionSql = (statement: string, parameters?: readonly SqlValue[]) => void

/** What an own table of a declared name is called in SQL now: what is derived anew is in tables of other names. */
export type NameOwnTable = (name: string) => string

/**
 * Own tables, kept in the same transaction as everything else. `added` and `removed` are called for rows that begin and
 * cease to count (an edit is both), so whatever adds up and takes back the same is as exact as the built-in counters.
 * When the declaration changes they are made and filled anew beside the old ones, whose place they take at the end.
 * An event whose statements the database refuses is set aside as a whole, with `event-failed`, and its repo is fetched.
 */
export interface DeriveDeclaration<C extends Columns> {
  /** Columns and constraints by table name, as they stand in a `CREATE TABLE`: `word TEXT PRIMARY KEY, n INTEGER NOT NULL`. */
  readonly tables: Readonly<Record<string, string>>
  /** Column lists to index, by table name. */
  readonly indexes?: Readonly<Record<string, readonly string[]>>
  readonly added: (row: RowInput<C>, sql: TransactionSql, table: NameOwnTable) => void
  readonly removed: (row: RowInput<C>, sql: TransactionSql, table: NameOwnTable) => void
}

/**
 * How much of a collection is kept; the rest is not indexed, and what grows out of it goes with all it counted for.
 * Widening it brings back what the repos still have with the next fetch of each, e.g. by `reconcile({ repos: 'all' })`.
 */
export interface RetainDeclaration {
  /** Rows whose `sortAt` is older than this many days go, within minutes. */
  readonly days?: number
  /**
   * Of each account only this many records, those with the highest record keys: the newest, where keys are TIDs. When one
   * of them is deleted the repo is fetched for the next older one. At most 10,000.
   */
  readonly perRepo?: number
}

/** A column of a composite index; `-` in front means descending. */
export type IndexColumn<C extends Columns> =
  `${'' | '-'}${(keyof C & string) | 'did' | 'rkey' | 'sortAt' | 'indexedAt'}`

/**
 * How one collection is indexed. All data and pure functions, and no SQL but that of `derive`.
 *
 * Layout `document` (default) keeps the record's bytes, gets an integer id that links and search
 * point to, and derives links from the whole record. Layout `edge` (likes, follows …) keeps the
 * declared columns and a 64-bit fingerprint of the CID only: about 100 bytes a record.
 */
export interface CollectionOptions<C extends Columns> {
  readonly layout?: 'document' | 'edge'
  /**
   * Layout `edge`: keep the record's bytes too, at the cost of their size. A changed declaration then derives its rows
   * without the network, and rows have their `record`. @defaultValue false
   */
  readonly keepRecord?: boolean
  readonly columns?: C
  /**
   * Raise it when one of the functions of this declaration changed its mind: stored records are then derived
   * again when the indexer opens. Every other change is noticed by itself.
   *
   * @defaultValue 1
   */
  readonly version?: number
  /** Accept only this record key, such as `self`. Others become dead letters. */
  readonly rkey?: string
  /** Throws, or answers a reason, for a record that does not fit its lexicon. It becomes a dead letter. */
  readonly validate?: (record: RecordObject, rkey: string) => string | undefined | void
  /** The `datetime` column that `sortAt` is taken from. @defaultValue `createdAt`, read from the record */
  readonly sortBy?: string
  /**
   * At most one record per combination counts, the one with the lowest record key; the others wait
   * as shadows, and the lowest takes over when it goes. Always within one account (`did` is implied).
   */
  readonly unique?: readonly (keyof C & string)[]
  /**
   * Backlinks. `true`: every at-uri, strongRef and DID anywhere in the record (layout `edge`: every `uri` and
   * `did` column). An array: these paths only. @defaultValue true
   */
  readonly links?: boolean | readonly string[]
  /** Counter name to what it counts on. A name belongs to one collection. */
  readonly counters?: Readonly<Record<string, CounterDeclaration<C>>>
  /** Notifications a record causes; pure. Never to the author's own account. */
  readonly notify?: (row: RowInput<C>) => readonly NotificationInput[]
  /** Own SQL and own tables inside the same transaction. */
  readonly derive?: DeriveDeclaration<C>
  /** Which rows count, by what other records say; decided again whenever one of them arrives, changes or goes. */
  readonly gate?: GateDeclaration<C>
  /** How much is kept. @defaultValue everything */
  readonly retain?: RetainDeclaration
  /** `text` columns to search in, full-text. Layout `document` only. On SQLite this needs Node ≥ 22.16. */
  readonly search?: readonly (keyof C & string)[]
  /** Composite indexes for the queries you make, e.g. `['did', '-sortAt']`. */
  readonly indexes?: readonly (readonly IndexColumn<C>[])[]
}

/** A declared collection; make it with {@link collection}. */
export interface CollectionDeclaration<C extends Columns = Columns> extends CollectionOptions<C> {
  readonly nsid: string
}

/** Any set of declarations, by the short name that queries and tables use. */
// Function members make declarations invariant in C, so the open set is stated through `RowInput<never>`-safe methods.
export type Declarations = Readonly<Record<string, AnyCollection>>

/** A declaration whose columns are not known to the compiler. */
export interface AnyCollection {
  readonly nsid: string
  readonly layout?: 'document' | 'edge'
  readonly keepRecord?: boolean
  readonly columns?: Columns
  readonly version?: number
  readonly rkey?: string
  readonly validate?: (record: RecordObject, rkey: string) => string | undefined | void
  readonly sortBy?: string
  readonly unique?: readonly string[]
  readonly links?: boolean | readonly string[]
  readonly counters?: Readonly<
    Record<string, string | { readonly on: string; readonly where: (row: never) => boolean }>
  >
  readonly notify?: (row: never) => readonly NotificationInput[]
  readonly gate?: {
    readonly dependsOn: readonly string[]
    readonly allow: (row: never, lookup: GateLookup) => boolean
  }
  readonly derive?: {
    readonly tables: Readonly<Record<string, string>>
    readonly indexes?: Readonly<Record<string, readonly string[]>>
    readonly added: (row: never, sql: TransactionSql, table: NameOwnTable) => void
    readonly removed: (row: never, sql: TransactionSql, table: NameOwnTable) => void
  }
  readonly retain?: RetainDeclaration
  readonly search?: readonly string[]
  readonly indexes?: readonly (readonly string[])[]
}

/** Columns of a declaration, for typing rows. */
export type ColumnsOf<D extends AnyCollection> = D extends { readonly columns?: infer C }
  ? NonNullable<C> extends Columns
    ? NonNullable<C>
    : Record<never, never>
  : Record<never, never>

/**
 * Declares how a collection is indexed.
 *
 * @example
 * ```ts
 * const like = collection('app.bsky.feed.like', {
 *   layout: 'edge',
 *   columns: { subject: uri('subject', { required: true }) },
 *   unique: ['subject'],
 *   counters: { likeCount: 'subject' },
 *   notify: (row) => [{ recipient: didOf(row.subject), reason: 'like', subject: row.subject }],
 * })
 * ```
 */
export function collection<const C extends Columns = Record<never, never>>(
  nsid: string,
  options: CollectionOptions<C> = {},
): CollectionDeclaration<C> {
  return { ...options, nsid }
}
