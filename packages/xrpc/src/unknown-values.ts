import { BlobRef as LexiconBlobRef } from '@atproto/lexicon'
import type { Lexicons } from '@atproto/lexicon'
import { isCidLink } from './data-model.ts'
import { ValidationError } from './errors.ts'

/** The parts of a schema that lead to values. */
interface Schema {
  readonly type: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly ref?: string
  readonly record?: Schema
}

/**
 * Checks that every value the schema calls `unknown` is an object: not a list, a link, bytes or a blob, all of which the
 * lexicon validator lets through. The value has passed that validator already.
 *
 * @throws {ValidationError} when one is not
 * @see {@link https://atproto.com/specs/lexicon#unknown}
 */
export function checkUnknownValues(
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
    case 'record':
      checkUnknownValues(lexicons, schema.record, value, path)
      return
    case 'object':
      for (const [name, property] of Object.entries(schema.properties ?? {})) {
        const { [name]: item } = value as Readonly<Record<string, unknown>>
        if (typeof item === 'object')
          checkUnknownValues(lexicons, property, item, `${path}/${name}`)
      }
      return
    case 'array':
      for (const [i, item] of (value as readonly unknown[]).entries()) {
        if (typeof item !== 'object') return
        checkUnknownValues(lexicons, schema.items, item, `${path}/${i}`)
      }
      return
    case 'ref':
      checkUnknownValues(lexicons, definition(lexicons, schema.ref), value, path)
      return
    case 'union': {
      const { $type } = value as { readonly $type?: unknown }
      checkUnknownValues(lexicons, definition(lexicons, $type), value, path)
    }
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
