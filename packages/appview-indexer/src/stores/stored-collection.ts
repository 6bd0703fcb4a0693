import { oldTable } from '../old-table.ts'
import type { OldTable, RebuildState } from '../old-table.ts'
import type { CollectionSchema, Schema } from '../schema.ts'
import type { RebuildTask } from './transaction.ts'

/** What `ix_collection` holds of a collection. */
export interface StoredCollection {
  readonly name: string
  readonly fingerprint: string
  /** Whether added columns are being filled. */
  readonly filling: boolean
  readonly rebuild: RebuildState | undefined
}

/** Reads a row of `ix_collection`. */
export function decodeStored(row: Readonly<Record<string, unknown>>): StoredCollection {
  const { rebuild } = row
  return {
    name: String(row['name']),
    fingerprint: String(row['fingerprint']),
    filling: Number(row['filling']) === 1,
    // Written by the layout of a store.
    rebuild: typeof rebuild === 'string' ? (JSON.parse(rebuild) as RebuildState) : undefined,
  }
}

/** Whether a table, or a rebuild, is of the present declaration. */
export function isOf(
  { name, fingerprint }: { readonly name: string; readonly fingerprint: string },
  collection: CollectionSchema,
): boolean {
  return name === collection.name && fingerprint === collection.fingerprint
}

/** Which other collections hold tables under names that a collection takes; databases fold case differently. */
export function holdersOf(
  collection: CollectionSchema,
  stored: readonly { readonly nsid: string; readonly table: OldTable }[],
): { readonly nsid: string; readonly table: OldTable }[] {
  const taken = [collection.name, ...(collection.derive?.tables ?? []).map(({ name }) => name)]
  const names = new Set(taken.map((name) => name.toLowerCase()))
  return stored.filter(
    ({ nsid, table }) =>
      nsid !== collection.nsid &&
      [table.name, ...table.own].some((name) => names.has(name.toLowerCase())),
  )
}

/** The rebuilds under way: collections without a gate first, since gates look at the others. */
export function rebuildTasks(
  schema: Schema,
  rows: readonly Readonly<Record<string, unknown>>[],
): RebuildTask[] {
  const tasks = rows.flatMap((row): RebuildTask[] => {
    const collection = schema.byNsid.get(String(row['nsid']))
    const { name, fingerprint, rebuild } = decodeStored(row)
    if (collection === undefined || rebuild === undefined) return []
    const from = oldTable(name, fingerprint)
    const { refetch, after } = rebuild
    return [{ collection, from, changed: !isOf(from, collection), refetch, after }]
  })
  const gated = ({ collection }: RebuildTask): number => (collection.gate === undefined ? 0 : 1)
  return tasks.toSorted((left, right) => gated(left) - gated(right))
}

/** SQL list of what an `OldRow` is read from: key, record and the columns of the present declaration. */
export function oldColumns(
  from: RebuildTask['from'],
  collection: CollectionSchema,
  quote: (name: string) => string,
): string {
  const known = new Set(from.columns)
  const values = collection.columns.map(({ name }, at) =>
    known.has(name) && !from.keepsRecord ? `${quote(name)} AS v${at}` : `NULL AS v${at}`,
  )
  return [
    from.edge ? '0 AS id' : 'id',
    'repo',
    'rkey',
    'cid',
    from.keepsRecord ? 'bytes' : 'NULL AS bytes',
    quote('indexedAt'),
    quote('sortAt'),
    ...values,
  ].join(', ')
}
