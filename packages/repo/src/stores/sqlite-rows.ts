import type { SQLOutputValue } from 'node:sqlite'

import { cidFromBytes, cidFromForeignBytes } from '../cid.ts'
import type { RepoHead, StoredNode, StoredRecord } from '../repo-store.ts'

/** One row as node:sqlite gives it. */
export type Row = Record<string, SQLOutputValue>

/** Gives a text column. The tables are STRICT: another type is a bug of a statement. */
export function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new TypeError(`column ${column} is not text`)
  return value
}

/** Gives a blob column. */
export function bytesOf(row: Row, column: string): Uint8Array {
  const value = row[column]
  if (!(value instanceof Uint8Array)) throw new TypeError(`column ${column} is not a blob`)
  return value
}

/** Gives an integer column. */
export function integerOf(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new TypeError(`column ${column} is not an integer`)
  return value
}

/** Gives a head from its row. */
export function headOf(row: Row): RepoHead {
  return {
    did: textOf(row, 'did'),
    rev: textOf(row, 'rev'),
    commit: cidFromBytes(bytesOf(row, 'cid')),
    data: cidFromBytes(bytesOf(row, 'data')),
    bytes: bytesOf(row, 'bytes'),
  }
}

/** Gives the rev of a row; rows that were staged have that of the import. */
function revOf(row: Row, imported: string): string {
  const rev = textOf(row, 'rev')
  return rev === '' ? imported : rev
}

/** Gives a record from its row; `imported` is the rev of the repo's import. */
export function recordOf(row: Row, imported: string): StoredRecord {
  return {
    collection: textOf(row, 'collection'),
    rkey: textOf(row, 'rkey'),
    cid: cidFromForeignBytes(bytesOf(row, 'cid')),
    bytes: bytesOf(row, 'bytes'),
    rev: revOf(row, imported),
  }
}

/** Gives a node from its row; `imported` is the rev of the repo's import. */
export function nodeOf(row: Row, imported: string): StoredNode {
  return { bytes: bytesOf(row, 'bytes'), rev: revOf(row, imported) }
}
