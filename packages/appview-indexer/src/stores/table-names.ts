import type { NameOwnTable } from '../collection.ts'
import type { CollectionSchema } from '../schema.ts'

/** A declared name as SQL text. Names were checked against a strict pattern when the declaration was compiled. */
export function quote(name: string): string {
  return `"${name}"`
}

/** Name of the full-text table of a collection. */
export function searchTable(collection: Pick<CollectionSchema, 'name'>): string {
  return `ix_search_${collection.name}`
}

/** What the own tables of a collection are called now, for the functions of its declaration. */
export function ownTables({ derive }: CollectionSchema): NameOwnTable {
  return (name) => {
    const own = derive?.tables.find((table) => table.name === name)
    if (own === undefined) throw new TypeError(`no own table ${name} is declared`)
    return quote(own.table)
  }
}

/** Key in `ix_meta` of how far the rows of a collection are filled. */
export function fillKey(collection: CollectionSchema): string {
  return `fill:${collection.nsid}`
}

/** Columns every row has, in stored order, before the declared ones. */
export function rowColumns(collection: CollectionSchema): string[] {
  const base = ['repo', 'rkey', 'cid', 'state', 'indexedAt', 'sortAt']
  return collection.edge ? base : ['id', ...base]
}

/** All columns of a collection's table, in stored order. */
export function storedColumns(collection: CollectionSchema): string[] {
  return [
    ...rowColumns(collection),
    ...collection.columns.map((column) => column.name),
    ...(collection.keepsRecord ? ['bytes'] : []),
  ]
}

/** Names of the columns that must be unique together. */
export function uniqueColumns(collection: CollectionSchema): string[] {
  return collection.unique.map((index) => collection.columns[index]?.name ?? '')
}

/** Whether the link table already answers who shares the unique value: one linked column. */
export function uniqueByLink(collection: CollectionSchema): boolean {
  const [first] = collection.unique
  return (
    collection.unique.length === 1 && first !== undefined && collection.linkColumns.includes(first)
  )
}
