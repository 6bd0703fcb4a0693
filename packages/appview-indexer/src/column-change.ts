import type { CollectionSchema } from './schema.ts'

/** A column in a fingerprint: name, kind, path, required. */
type PrintedColumn = readonly [string, string, string, boolean]

interface Fingerprint {
  readonly columns: readonly PrintedColumn[]
  readonly [key: string]: unknown
}

/** Names of the columns that nothing else is derived from. */
export function plainColumns({ columns }: CollectionSchema): string[] {
  return columns.filter(({ kind }) => kind !== 'uri' && kind !== 'did').map(({ name }) => name)
}

/**
 * Columns that were added, where nothing else changed and nothing else is derived from them: then the stored rows stay and
 * are filled. Undefined when the rows have to be derived again.
 */
export function addedColumns(
  collection: CollectionSchema,
  oldName: string,
  oldFingerprint: string,
): readonly string[] | undefined {
  if (collection.edge || oldName !== collection.name) return undefined
  // Both were written by `compileSchema`.
  const [before, after] = [oldFingerprint, collection.fingerprint].map(
    (text) => JSON.parse(text) as Fingerprint,
  )
  if (before === undefined || after === undefined) return undefined
  const rest = (print: Fingerprint): string => JSON.stringify({ ...print, columns: [] })
  if (rest(before) !== rest(after)) return undefined
  const known = new Set(before.columns.map((column) => JSON.stringify(column)))
  const added = after.columns.filter((column) => !known.delete(JSON.stringify(column)))
  const plain = new Set(plainColumns(collection))
  const isFree = ([name, , , required]: PrintedColumn): boolean =>
    plain.has(name) &&
    !required &&
    collection.columns.some((column) => column.name === name && !column.indexed)
  return known.size === 0 && added.every(isFree) ? added.map(([name]) => name) : undefined
}
