/** What a column holds in the database. `uri` and `did` are interned to integers and can be linked, counted and joined. */
export type ColumnKind = 'text' | 'integer' | 'boolean' | 'datetime' | 'uri' | 'did' | 'json'

/** Where a value comes from: a dotted path into the record (`reply.parent.uri`) or a pure function of it. */
export type ColumnSource<V> = string | ((record: RecordObject) => V | undefined)

/** A decoded record: the data model as plain objects, CIDs as CID objects, bytes as Uint8Array. */
export interface RecordObject {
  readonly [key: string]: unknown
}

/** Options of one column. */
export interface ColumnOptions {
  /** Refuse the record (it becomes a dead letter) when the value is absent or of another type. @defaultValue false */
  readonly required?: boolean
  /** Build an ordinary index on this column. @defaultValue false */
  readonly index?: boolean
}

/** A declared column whose TypeScript value is `V` (`undefined` when absent from the record). */
export interface Column<V = unknown> {
  readonly kind: ColumnKind
  readonly source: ColumnSource<unknown>
  readonly required: boolean
  readonly index: boolean
  /** Type carrier only; never set. */
  readonly value?: V
}

type RequiredOption = ColumnOptions & { readonly required: true }

function column<V>(
  kind: ColumnKind,
  source: ColumnSource<unknown>,
  options: ColumnOptions = {},
): Column<V> {
  const { required = false, index = false } = options
  return { kind, source, required, index }
}

/** A string; anything else counts as absent. */
export function text(source: ColumnSource<string>, options: RequiredOption): Column<string>
export function text(
  source: ColumnSource<string>,
  options?: ColumnOptions,
): Column<string | undefined>
export function text(
  source: ColumnSource<string>,
  options?: ColumnOptions,
): Column<string | undefined> {
  return column('text', source, options)
}

/** A safe integer; anything else counts as absent. */
export function integer(source: ColumnSource<number>, options: RequiredOption): Column<number>
export function integer(
  source: ColumnSource<number>,
  options?: ColumnOptions,
): Column<number | undefined>
export function integer(
  source: ColumnSource<number>,
  options?: ColumnOptions,
): Column<number | undefined> {
  return column('integer', source, options)
}

/** A boolean; anything else counts as absent. */
export function boolean(source: ColumnSource<boolean>, options: RequiredOption): Column<boolean>
export function boolean(
  source: ColumnSource<boolean>,
  options?: ColumnOptions,
): Column<boolean | undefined>
export function boolean(
  source: ColumnSource<boolean>,
  options?: ColumnOptions,
): Column<boolean | undefined> {
  return column('boolean', source, options)
}

/** An ISO datetime string of the record, stored and returned as Unix milliseconds; unparseable counts as absent. */
export function datetime(source: ColumnSource<string>, options: RequiredOption): Column<number>
export function datetime(
  source: ColumnSource<string>,
  options?: ColumnOptions,
): Column<number | undefined>
export function datetime(
  source: ColumnSource<string>,
  options?: ColumnOptions,
): Column<number | undefined> {
  return column('datetime', source, options)
}

/**
 * An at-uri of a record, or a strongRef (then its `uri`), interned. The authority must be a DID:
 * other URIs count as absent. Gives backlinks for free.
 */
export function uri(source: ColumnSource<unknown>, options: RequiredOption): Column<string>
export function uri(
  source: ColumnSource<unknown>,
  options?: ColumnOptions,
): Column<string | undefined>
export function uri(
  source: ColumnSource<unknown>,
  options?: ColumnOptions,
): Column<string | undefined> {
  return column('uri', source, options)
}

/** A DID, interned. Gives backlinks for free. */
export function did(source: ColumnSource<string>, options: RequiredOption): Column<string>
export function did(
  source: ColumnSource<string>,
  options?: ColumnOptions,
): Column<string | undefined>
export function did(
  source: ColumnSource<string>,
  options?: ColumnOptions,
): Column<string | undefined> {
  return column('did', source, options)
}

/** Any part of the record, stored as AT Protocol JSON (`$link`, `$bytes`). */
export function json(source: ColumnSource<unknown>, options?: ColumnOptions): Column<unknown> {
  return column('json', source, options)
}
