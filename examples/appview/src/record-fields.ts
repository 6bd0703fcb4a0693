/**
 * Reading fields of records whose shape the compiler does not know.
 *
 * Indexed records were validated against their lexicon, but unions are open: a variant of the future
 * is data like any other and must not break a view.
 */

/** A record or a part of one. */
export interface Fields {
  readonly [key: string]: unknown
}

/** The value when it is a plain object, else `undefined`. */
export function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : undefined
}

/** The field when it is an object. */
export function objectField(value: unknown, name: string): Fields | undefined {
  return asFields(asFields(value)?.[name])
}

/** The field when it is a string. */
export function textField(value: unknown, name: string): string | undefined {
  const field = asFields(value)?.[name]
  return typeof field === 'string' ? field : undefined
}

/** The field when it is a boolean. */
export function booleanField(value: unknown, name: string): boolean | undefined {
  const field = asFields(value)?.[name]
  return typeof field === 'boolean' ? field : undefined
}

/** The items of the field when it is an array, else none. */
export function listField(value: unknown, name: string): readonly unknown[] {
  const field = asFields(value)?.[name]
  return Array.isArray(field) ? field : []
}

/** `$type` of an object. */
export function typeOf(value: unknown): string | undefined {
  return textField(value, '$type')
}
