import type { Row } from '../collection.ts'
import { decodeRecord, presentValue } from '../draft.ts'
import type { CollectionSchema } from '../schema.ts'
import type { SqlValue } from '../sql-value.ts'
import { cidFromBytes } from '@skywright/repo'
import { formatRecordUri } from '../target.ts'
import type { Identities } from './identities.ts'

/** A row as SQL returns it. */
export type SqlRow = Readonly<Record<string, SqlValue>>

/** Turns SQL rows of a collection into typed rows, with ids spelled out. */
export async function readRows(
  identities: Identities,
  collection: CollectionSchema,
  rows: readonly SqlRow[],
): Promise<Row[]> {
  const targetColumns = collection.columns.filter(({ kind }) => kind === 'uri' || kind === 'did')
  const targets = new Set<number>()
  const repos = new Set<number>()
  for (const row of rows) {
    repos.add(Number(row['repo']))
    for (const { name } of targetColumns) {
      const value = row[name]
      if (value !== null && value !== undefined) targets.add(Number(value))
    }
  }
  const dids = await identities.dids(repos)
  const texts = await identities.texts(targets)
  return rows.map((row) => readRow(collection, row, dids, texts))
}

function readRow(
  collection: CollectionSchema,
  row: SqlRow,
  dids: ReadonlyMap<number, string>,
  texts: ReadonlyMap<number, string>,
): Row {
  const did = dids.get(Number(row['repo'])) ?? ''
  const rkey = String(row['rkey'])
  const { bytes, cid } = row
  const columns: Record<string, unknown> = {}
  for (const column of collection.columns) {
    const value = row[column.name]
    if (value === null || value === undefined) columns[column.name] = undefined
    else if (column.kind === 'uri' || column.kind === 'did')
      columns[column.name] = texts.get(Number(value))
    else
      columns[column.name] = presentValue(column, typeof value === 'string' ? value : Number(value))
  }
  return {
    ...columns,
    uri: formatRecordUri(did, collection.nsid, rkey),
    did,
    rkey,
    cid: collection.edge || !(cid instanceof Uint8Array) ? undefined : cidFromBytes(cid).toString(),
    indexedAt: Number(row['indexedAt']),
    sortAt: Number(row['sortAt']),
    record: bytes instanceof Uint8Array ? decodeRecord(bytes) : undefined,
    // The columns of this collection were filled in above; the type says only that they are there.
  } as Row
}
