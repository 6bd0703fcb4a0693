import type { Columns, ColumnValues, Row } from '../collection.ts'
import type { AcceptedLabelers } from './labels.ts'
import type { Page, PageOptions } from './page.ts'

/** Columns that `where` and `orderBy` accept. */
export type QueryColumn<C extends Columns> =
  (keyof C & string) | 'did' | 'rkey' | 'uri' | 'sortAt' | 'indexedAt'

/** The value type of a query column. */
export type QueryValue<C extends Columns, K> = K extends keyof C
  ? NonNullable<ColumnValues<C>[K]>
  : K extends 'sortAt' | 'indexedAt'
    ? number
    : string

/** Comparison operators. */
export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>='

/** Equality conditions: a value, a list (any of them), or `null` (absent). */
export type Conditions<C extends Columns> = {
  readonly [K in QueryColumn<C>]?: QueryValue<C, K> | readonly QueryValue<C, K>[] | null | undefined
}

/**
 * An immutable, typed query over one collection. Sees visible rows only: no shadowed duplicates, nothing
 * of inactive accounts. Unknown DIDs and URIs simply match nothing.
 */
export interface Select<C extends Columns> {
  /** Adds equality conditions (all must hold). `undefined` values are ignored. */
  where(conditions: Conditions<C>): Select<C>
  /** Adds one comparison. */
  where<K extends QueryColumn<C>>(
    column: K,
    comparison: Comparison,
    value: QueryValue<C, K>,
  ): Select<C>
  /** Full-text: every word must occur; a trailing `*` matches prefixes, quotes match phrases. */
  search(words: string): Select<C>
  /** Leaves out what a labeler that is asked to redact takes down, the record or its account. */
  withoutRedacted(accepted: AcceptedLabelers): Select<C>
  /** @defaultValue `sortAt` descending. Ties are broken by account and record key. */
  orderBy(column: QueryColumn<C>, direction?: 'asc' | 'desc'): Select<C>
  page(options?: PageOptions): Promise<Page<Row<C>>>
  /** The first row, or undefined. */
  first(): Promise<Row<C> | undefined>
  /** Counts by scanning; prefer a declared counter for anything shown often. */
  count(): Promise<number>
  /** Emits the first page again whenever a batch changed this collection, or a handle changed, until the signal aborts. */
  live(options?: {
    readonly limit?: number
    readonly signal?: AbortSignal
  }): AsyncGenerator<readonly Row<C>[], void, void>
}
