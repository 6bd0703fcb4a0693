import { decodeCbor } from '@skywright/repo/cbor'

import type { RowInput } from './collection.ts'
import type { RecordObject } from './column.ts'
import { InvalidRecordError } from './errors.ts'
import { toJsonText } from './json-text.ts'
import { findRecordLinks } from './record-links.ts'
import type { RecordLink } from './record-links.ts'
import type { CollectionSchema, ColumnSchema } from './schema.ts'
import { storableText } from './storable-text.ts'
import { formatRecordUri, isDid, isRkey, parseRecordUri } from './target.ts'

/** Largest record indexed, in bytes: the protocol's bound for a record. */
export const MAX_RECORD_BYTES = 1_000_000

/** A column value before interning: targets are still text. */
export type DraftValue = string | number | undefined

/** A record turned into what its declaration asks for, before any database is involved. Pure. */
export interface Draft {
  readonly record: RecordObject
  readonly values: readonly DraftValue[]
  readonly links: readonly RecordLink[]
  /** Unix milliseconds the record claims, undefined when it claims none. */
  readonly claimedAt: number | undefined
}

/** Decodes, validates and extracts one record. @throws {InvalidRecordError} with the reason, for whatever is wrong */
export function draftRecord(collection: CollectionSchema, rkey: string, bytes: Uint8Array): Draft {
  if (bytes.length > MAX_RECORD_BYTES)
    throw new InvalidRecordError(`record larger than ${MAX_RECORD_BYTES} bytes`)
  if (!isRkey(rkey)) throw new InvalidRecordError('invalid record key')
  if (collection.rkey !== undefined && rkey !== collection.rkey)
    throw new InvalidRecordError(`record key must be ${collection.rkey}`)
  const record = decodeRecord(bytes)
  if (record['$type'] !== collection.nsid)
    throw new InvalidRecordError(`$type is not ${collection.nsid}`)
  if (collection.validate !== undefined) {
    let reason: string | undefined | void
    try {
      reason = collection.validate(record, rkey)
    } catch (error) {
      throw new InvalidRecordError(messageOf(error), { cause: error })
    }
    if (typeof reason === 'string') throw new InvalidRecordError(reason)
  }
  return extract(collection, record)
}

/** The same for a record that was accepted before: no validation. */
export function redraftRecord(collection: CollectionSchema, bytes: Uint8Array): Draft {
  return extract(collection, decodeRecord(bytes))
}

function extract(collection: CollectionSchema, record: RecordObject): Draft {
  const { columns } = collection
  const values: DraftValue[] = []
  for (const column of columns) {
    const value = readColumn(column, record)
    if (value === undefined && column.required)
      throw new InvalidRecordError(`${column.name} is missing or not a ${column.kind}`)
    values.push(value)
  }
  const links = collection.linkWalk
    ? findRecordLinks(record, collection.coveredPaths, collection.linkPaths)
    : []
  const claimedAt = readColumn(collection.sortBy, record)
  return { record, values, links, claimedAt: typeof claimedAt === 'number' ? claimedAt : undefined }
}

/** The record as pure functions see it. */
export function rowInputOf(
  collection: CollectionSchema,
  did: string,
  rkey: string,
  values: readonly DraftValue[],
  record: RecordObject | undefined,
): RowInput {
  const row: Record<string, unknown> = {
    uri: formatRecordUri(did, collection.nsid, rkey),
    did,
    rkey,
    // An edge forgets its record, so its functions must never see one: effects have to be undoable from the columns.
    record: collection.edge ? undefined : record,
  }
  collection.columns.forEach((column, index) => {
    row[column.name] = presentValue(column, values[index])
  })
  return row as unknown as RowInput
}

/** A stored value as callers see it: booleans and JSON spelled out. */
export function presentValue(column: ColumnSchema, value: DraftValue): unknown {
  if (value === undefined) return undefined
  if (column.kind === 'boolean') return value === 1
  if (column.kind === 'json') return JSON.parse(String(value)) as unknown
  return value
}

/** Decodes a record's bytes to a map. @throws {InvalidRecordError} */
export function decodeRecord(bytes: Uint8Array): RecordObject {
  let value: unknown
  try {
    value = decodeCbor(bytes)
  } catch (error) {
    throw new InvalidRecordError(messageOf(error), { cause: error })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidRecordError('record is not a map')
  return value as RecordObject
}

function readColumn(column: ColumnSchema, record: RecordObject): DraftValue {
  let value: unknown
  if (column.compute === undefined) {
    value = record
    for (const segment of column.path ?? []) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment))
        return undefined
      value = (value as RecordObject)[segment]
    }
  } else {
    try {
      value = column.compute(record)
    } catch (error) {
      throw new InvalidRecordError(`${column.name}: ${messageOf(error)}`, { cause: error })
    }
  }
  return convert(column, value)
}

function convert(column: ColumnSchema, value: unknown): DraftValue {
  if (value === undefined || value === null) return undefined
  switch (column.kind) {
    case 'text':
      return typeof value === 'string' ? indexable(column, storableText(value)) : undefined
    case 'integer':
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
    case 'boolean':
      return typeof value === 'boolean' ? Number(value) : undefined
    case 'datetime':
      return typeof value === 'string' ? parseDatetime(value) : undefined
    case 'did':
      return typeof value === 'string' && isDid(value) ? value : undefined
    case 'uri': {
      const text = typeof value === 'object' ? (value as RecordObject)['uri'] : value
      return typeof text === 'string' && parseRecordUri(text) !== undefined ? text : undefined
    }
    case 'json':
      return indexable(column, storableText(toJsonText(value)))
  }
}

/** Longest text of an indexed column, in bytes: index entries are bounded in every database. */
export const MAX_INDEXED_TEXT_BYTES = 1_000

function indexable(column: ColumnSchema, value: string): string {
  if (!column.indexed || value.length * 3 <= MAX_INDEXED_TEXT_BYTES) return value
  if (new TextEncoder().encode(value).length > MAX_INDEXED_TEXT_BYTES)
    throw new InvalidRecordError(
      `${column.name} is indexed and longer than ${MAX_INDEXED_TEXT_BYTES} bytes`,
    )
  return value
}

const DATETIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,20})?(?:[Zz]|[+-]\d\d:\d\d)$/

/** Unix milliseconds of an RFC 3339 datetime; undefined when it is none. */
export function parseDatetime(value: string): number | undefined {
  if (value.length > 64 || !DATETIME.test(value)) return undefined
  const millis = Date.parse(value)
  return Number.isNaN(millis) ? undefined : millis
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
