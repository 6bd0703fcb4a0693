import { isTid } from '@skywright/repo'
import { InvalidRequestError, type LexiconCatalog } from '@skywright/xrpc'
import { checkBlobLimits } from './check-blob-limits.ts'

/** Whether a record was checked against its lexicon. */
export type ValidationStatus = 'valid' | 'unknown'

/** A record as the data model has it. */
export type RecordValue = Readonly<Record<string, unknown>>

/** What a client asked to write. */
export interface RecordInput {
  readonly collection: string
  readonly rkey: string
  readonly record: unknown
  /** `true`: the lexicon must be known. `false`: the data model is enough. Absent: checked when known. */
  readonly validate: boolean | undefined
}

/** A record fit to be written. */
export interface CheckedRecord {
  readonly record: RecordValue
  /** Absent when the client asked for no validation. */
  readonly validationStatus?: ValidationStatus
}

/**
 * Checks a record: `$type` equals the collection (and is added when absent), the lexicon is obeyed as
 * far as `validate` asks, and the record key is of the kind the lexicon wants.
 *
 * @throws {InvalidRequestError} with the reason.
 */
export function checkRecord(lexicons: LexiconCatalog, input: RecordInput): CheckedRecord {
  const { collection, rkey, record: value, validate } = input
  if (!isPlainObject(value)) throw invalid('a record is an object')
  const { $type = collection } = value
  if ($type !== collection) {
    throw invalid(`$type is ${String($type)}; the collection asks for ${collection}`)
  }
  const record = '$type' in value ? value : { $type: collection, ...value }
  if (validate === false) return { record }
  const schema = recordSchema(lexicons, collection)
  if (schema === undefined) {
    if (validate === true) throw invalid(`no lexicon is known for ${collection}`)
    return { record, validationStatus: 'unknown' }
  }
  checkKey(schema.key, rkey)
  try {
    lexicons.validateRecord(collection, record)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'does not match its lexicon'
    throw new InvalidRequestError(`Invalid ${collection} record: ${reason}`, {
      cause,
    })
  }
  checkBlobLimits(lexicons, collection, record)
  return { record, validationStatus: 'valid' }
}

/** The one record key a collection allows (`self` for profiles), if its lexicon says so. */
export function literalKey(lexicons: LexiconCatalog, collection: string): string | undefined {
  const key = recordSchema(lexicons, collection)?.key
  return key?.startsWith('literal:') === true ? key.slice('literal:'.length) : undefined
}

interface RecordSchema {
  readonly key: string
}

function recordSchema(lexicons: LexiconCatalog, collection: string): RecordSchema | undefined {
  const main: unknown = lexicons.get(collection)?.defs['main']
  if (!isPlainObject(main) || main['type'] !== 'record') return undefined
  return { key: typeof main['key'] === 'string' ? main['key'] : 'any' }
}

function checkKey(kind: string, rkey: string): void {
  if (kind === 'tid' && !isTid(rkey)) throw invalid(`the record key must be a TID, not ${rkey}`)
  if (kind.startsWith('literal:') && rkey !== kind.slice('literal:'.length)) {
    throw invalid(`the record key must be ${kind.slice('literal:'.length)}, not ${rkey}`)
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(message: string): InvalidRequestError {
  return new InvalidRequestError(message)
}
