import type { Row } from '../collection.ts'
import { InvalidQueryError } from '../errors.ts'
import type { CollectionSchema, Schema } from '../schema.ts'
import type { IndexStore } from '../stores/port.ts'
import { checkLimit, DEFAULT_PAGE_ROWS } from './compiled-select.ts'
import type { Identities } from './identities.ts'
import { decodeCursor, encodeCursor } from './keyset-cursor.ts'
import type { Page, PageOptions } from './page.ts'
import { readRows } from './row-reader.ts'
import type { SqlRow } from './row-reader.ts'
import { BOUND_LIMIT } from '../stores/bound-limit.ts'

/** Most authors of one time line. */
export const MAX_TIMELINE_AUTHORS = 20_000

/** A time line request with the types erased. */
export interface TimelineRequest extends PageOptions {
  readonly from: readonly string[]
  readonly authors:
    | readonly string[]
    | {
        readonly of: string
        readonly edge: string
        readonly column: string
        readonly self?: boolean
      }
}

/** Where a page ended: time, collection, account, record key. */
interface Position {
  readonly sortAt: number
  readonly collection: number
  readonly repo: number
  readonly rkey: string
}

interface Item extends Position {
  readonly row: SqlRow
}

/**
 * Merges many authors' records newest first.
 *
 * Two questions per collection: every author's newest record (one index seek each), then the records of the few
 * authors that can be on this page. Nothing is sorted but the page itself.
 */
export async function readTimeline(
  store: IndexStore,
  identities: Identities,
  schema: Schema,
  request: TimelineRequest,
): Promise<Page<{ readonly from: string; readonly row: Row }>> {
  const { limit = DEFAULT_PAGE_ROWS, cursor } = request
  checkLimit(limit)
  const collections = request.from.map((name) => findCollection(schema, name))
  const order = `timeline.${request.from.join('.')}`
  const after = cursor === undefined ? undefined : positionOf(cursor, order)
  const authors = JSON.stringify(await authorsOf(store, identities, schema, request.authors))

  const listed =
    store.dialect === 'sqlite'
      ? 'json_each(?) a'
      : '(SELECT CAST(value AS BIGINT) AS value FROM jsonb_array_elements_text(CAST(? AS JSONB))) a'
  const heads: { collection: number; repo: number; sortAt: number }[] = []
  for (const [index, collection] of collections.entries())
    for (const row of await store.query(
      `SELECT a.value AS repo, (
         SELECT "sortAt" FROM "${collection.name}"
         WHERE repo = a.value AND state = 0${beforeSql(after)} ORDER BY "sortAt" DESC LIMIT 1
       ) AS "sortAt" FROM ${listed}`,
      [...beforeParameters(after, index), authors],
    ))
      if (row['sortAt'] !== null)
        heads.push({
          collection: index,
          repo: Number(row['repo']),
          sortAt: Number(row['sortAt']),
        })
  heads.sort((left, right) => right.sortAt - left.sortAt)
  // At least limit + 1 records are this new: nothing older can be on the page.
  const oldest = heads[limit]?.sortAt ?? Number.MIN_SAFE_INTEGER

  const items: Item[] = []
  for (const [index, collection] of collections.entries()) {
    const near = heads.filter((head) => head.collection === index && head.sortAt >= oldest)
    if (near.length === 0) continue
    const rows = await readNear(
      store,
      collection,
      index,
      near.map(({ repo }) => repo),
      oldest,
      after,
      limit + 1,
    )
    for (const row of rows)
      items.push({
        sortAt: Number(row['sortAt']),
        collection: index,
        repo: Number(row['repo']),
        rkey: String(row['rkey']),
        row,
      })
  }
  items.sort(newestFirst)
  const kept = items.slice(0, limit)
  const rows = await spellOut(identities, collections, kept)
  const last = kept.at(-1)
  if (items.length <= limit || last === undefined) return { rows }
  return {
    rows,
    cursor: encodeCursor(order, [last.sortAt, last.collection, last.repo, last.rkey]),
  }
}

async function readNear(
  store: IndexStore,
  collection: CollectionSchema,
  index: number,
  repos: readonly number[],
  oldest: number,
  after: Position | undefined,
  limit: number,
): Promise<SqlRow[]> {
  const rows: SqlRow[] = []
  const sql = `SELECT * FROM "${collection.name}" WHERE repo = ? AND state = 0 AND "sortAt" >= ?${beforeSql(after)} ORDER BY "sortAt" DESC, rkey DESC ${BOUND_LIMIT}`
  for (const repo of repos)
    rows.push(...(await store.query(sql, [repo, oldest, ...beforeParameters(after, index), limit])))
  return rows
}

function beforeSql(after: Position | undefined): string {
  return after === undefined
    ? ''
    : ' AND "sortAt" <= ? AND ("sortAt" < ? OR (?, repo, rkey) < (?, ?, ?))'
}

function beforeParameters(after: Position | undefined, collection: number): (string | number)[] {
  if (after === undefined) return []
  return [after.sortAt, after.sortAt, collection, after.collection, after.repo, after.rkey]
}

function newestFirst(left: Position, right: Position): number {
  if (left.sortAt !== right.sortAt) return right.sortAt - left.sortAt
  if (left.collection !== right.collection) return right.collection - left.collection
  if (left.repo !== right.repo) return right.repo - left.repo
  return left.rkey < right.rkey ? 1 : -1
}

function positionOf(cursor: string, order: string): Position {
  const [sortAt, collection, repo, rkey] = decodeCursor(cursor, order, [
    'number',
    'number',
    'number',
    'string',
  ])
  return {
    sortAt: Number(sortAt),
    collection: Number(collection),
    repo: Number(repo),
    rkey: String(rkey),
  }
}

function findCollection(schema: Schema, name: string): CollectionSchema {
  const collection = schema.byName.get(name)
  if (collection === undefined) throw new InvalidQueryError(`no collection ${name}`)
  return collection
}

async function authorsOf(
  store: IndexStore,
  identities: Identities,
  schema: Schema,
  authors: TimelineRequest['authors'],
): Promise<number[]> {
  if (!('of' in authors)) {
    if (authors.length > MAX_TIMELINE_AUTHORS)
      throw new InvalidQueryError(`more than ${MAX_TIMELINE_AUTHORS} authors`)
    return [...(await identities.repos(authors)).values()]
  }
  const collection = findCollection(schema, authors.edge)
  const column = collection.columns.find(({ name }) => name === authors.column)
  if (column?.kind !== 'did')
    throw new InvalidQueryError(`${authors.edge}.${authors.column} is not a did column`)
  const viewer = (await identities.repos([authors.of])).get(authors.of)
  if (viewer === undefined) return []
  const rows = await store.query(
    `SELECT "${column.name}" AS target FROM "${collection.name}" WHERE repo = ? AND state = 0 AND "${column.name}" IS NOT NULL ${BOUND_LIMIT}`,
    [viewer, MAX_TIMELINE_AUTHORS],
  )
  const repos = new Set(rows.map((row) => (Number(row['target']) - 1) / 2))
  if (authors.self === true) repos.add(viewer)
  return [...repos]
}

async function spellOut(
  identities: Identities,
  collections: readonly CollectionSchema[],
  items: readonly Item[],
): Promise<{ from: string; row: Row }[]> {
  const rows = new Map<Item, Row>()
  for (const [index, collection] of collections.entries()) {
    const own = items.filter((item) => item.collection === index)
    const read = await readRows(
      identities,
      collection,
      own.map(({ row }) => row),
    )
    own.forEach((item, at) => {
      const row = read[at]
      if (row !== undefined) rows.set(item, row)
    })
  }
  return items.flatMap((item) => {
    const row = rows.get(item)
    const from = collections[item.collection]?.name
    return row === undefined || from === undefined ? [] : [{ from, row }]
  })
}
