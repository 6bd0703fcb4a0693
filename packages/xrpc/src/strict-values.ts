import { BlobRef as LexiconBlobRef } from '@atproto/lexicon'
import type { Lexicons } from '@atproto/lexicon'
import { isCidLink } from './data-model.ts'
import { ValidationError } from './errors.ts'

/** The longest URI, in bytes. */
const MAX_URI_BYTES = 8_192
/** What the library takes besides: no time zone, none of a colon, single digits. */
const DATETIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/
/** The first moment that a date of four digits names. */
const YEAR_ZERO_MS = -62_167_219_200_000

/** The parts of a schema that lead to values. */
interface Schema {
  readonly type: string
  readonly format?: string | undefined
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly ref?: string
  readonly record?: Schema
}

/**
 * Checks what the specification asks of values and the lexicon validator lets through: what a schema calls `unknown` is an
 * object, not a list, a link, bytes or a blob; datetimes have a time zone and no year before zero; CIDs are of version 1;
 * URIs have a bound. The value has passed that validator already.
 *
 * @throws {ValidationError} when something is not so
 * @see {@link https://atproto.com/specs/lexicon#string-formats}
 */
export function checkStrictly(
  lexicons: Pick<Lexicons, 'getDef'>,
  schema: Schema | undefined,
  value: unknown,
  path: string,
): void {
  if (schema === undefined || value === undefined || value === null) return
  switch (schema.type) {
    case 'unknown':
      if (!isPlainObject(value)) {
        throw new ValidationError(`${path} must be an object`)
      }
      return
    case 'string':
      if (typeof value === 'string' && !isStrict(schema.format, value)) {
        throw new ValidationError(`${path} must be a valid ${String(schema.format)}`)
      }
      return
    case 'record':
      checkStrictly(lexicons, schema.record, value, path)
      return
    case 'object':
      for (const name in schema.properties) {
        const { [name]: item } = value as Readonly<Record<string, unknown>>
        checkMember(lexicons, schema.properties[name], item, path, name)
      }
      return
    case 'array': {
      const items = value as readonly unknown[]
      for (let i = 0; i < items.length; i++) {
        checkMember(lexicons, schema.items, items[i], path, i)
      }
      return
    }
    case 'ref':
      checkStrictly(lexicons, definition(lexicons, schema.ref), value, path)
      return
    case 'union': {
      const { $type } = value as { readonly $type?: unknown }
      checkStrictly(lexicons, definition(lexicons, $type), value, path)
    }
  }
}

/** Checks a value inside another. Its path is written out only where it may be needed: most values are short texts. */
function checkMember(
  lexicons: Pick<Lexicons, 'getDef'>,
  schema: Schema | undefined,
  value: unknown,
  path: string,
  key: string | number,
): void {
  if (typeof value !== 'object' && schema?.type === 'string') {
    if (typeof value !== 'string' || isStrict(schema.format, value)) return
    throw new ValidationError(`${path}/${key} must be a valid ${String(schema.format)}`)
  }
  if (typeof value === 'object' || schema?.type === 'ref') {
    checkStrictly(lexicons, schema, value, `${path}/${key}`)
  }
}

function isStrict(format: string | undefined, text: string): boolean {
  switch (format) {
    case 'datetime':
      if (!DATETIME.test(text)) return false
      // The library has seen to it that the parts are in range, so this is a time; only an offset leads before year zero.
      return !text.startsWith('0000') || Date.parse(text) >= YEAR_ZERO_MS
    case 'cid':
      return !text.startsWith('Qm')
    case 'uri':
      return text.length <= MAX_URI_BYTES && new TextEncoder().encode(text).length <= MAX_URI_BYTES
    default:
      return true
  }
}

function definition(lexicons: Pick<Lexicons, 'getDef'>, uri: unknown): Schema | undefined {
  // The library's own types list every kind of definition; only the parts above are looked at.
  return typeof uri === 'string' ? (lexicons.getDef(uri) as Schema | undefined) : undefined
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  if (value instanceof Uint8Array || value instanceof LexiconBlobRef) return false
  return !isCidLink(value)
}
