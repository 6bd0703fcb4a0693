import type { CollectionSchema, Schema } from './schema.ts'

/** Marks names of what is not, or no longer, part of the index. No NSID, column or counter has it. */
export const ASIDE = '#'
/** Ends names of what is derived anew, until it takes the place of what is there. */
const NEW = `${ASIDE}new`

/**
 * The collection as it is derived anew: the same meaning, in tables and under names of its own, so that nobody sees it
 * before it takes the place of what is there; until then it decides nothing.
 */
export function shadowOf(collection: CollectionSchema): CollectionSchema {
  return {
    ...collection,
    name: shadowTable(collection.name),
    space: shadowName(collection.space),
    counters: collection.counters.map((counter) => ({
      ...counter,
      name: shadowName(counter.name),
    })),
    derive: shadowDerive(collection.derive),
    feedsGates: false,
  }
}

function shadowDerive(derive: CollectionSchema['derive']): CollectionSchema['derive'] {
  if (derive === undefined) return undefined
  const tables = derive.tables.map((own) => ({ ...own, table: shadowTable(own.name) }))
  return { ...derive, tables }
}

const TABLE = 'ix_new_'

/** Name of the table rows are derived into. */
export function shadowTable(name: string): string {
  return `${TABLE}${name}`
}

/** Name of the table whose place a table is to take; any other name as it is. */
export function tableOfShadow(name: string): string {
  return name.startsWith(TABLE) ? name.slice(TABLE.length) : name
}

/** Name under which links, counters and the like of rows derived anew are kept. */
export function shadowName(name: string): string {
  return `${name}${NEW}`
}

/** The schema with a shadow beside its collections. */
export function withShadow(schema: Schema, shadow: CollectionSchema, hasGates: boolean): Schema {
  return { ...schema, collections: [...schema.collections, shadow], hasGates }
}
