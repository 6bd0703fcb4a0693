import { InvalidRequestError } from './errors.ts'
import { setOwn } from './data-model.ts'

/** Longest query string looked at, in characters. Node itself stops at 16 KiB of headers. */
export const MAX_QUERY_LENGTH = 65_536
const INTEGER = /^(?:0|-?[1-9][0-9]*)$/

interface ParamDefinition {
  readonly type: string
  readonly items?: { readonly type: string }
  readonly default?: unknown
}

interface Param {
  readonly name: string
  readonly isArray: boolean
  readonly type: string
}

/** The parameters of one method. */
export interface ParamsCodec {
  /**
   * Reads a query string without its question mark. Unknown names are ignored.
   *
   * @throws {InvalidRequestError} on repeated scalars, values that are not of their type, and bad escapes
   */
  decode(query: string): Record<string, unknown>
  /** Writes a query string without its question mark, defaults included. */
  encode(params: Readonly<Record<string, unknown>>): string
}

/** Compiles the `parameters` of a method. */
export function compileParams(
  properties: Readonly<Record<string, ParamDefinition>> | undefined,
): ParamsCodec {
  const params = new Map<string, Param>()
  const defaults: [string, unknown][] = []
  for (const [name, definition] of Object.entries(properties ?? {})) {
    const isArray = definition.type === 'array'
    const type = isArray ? (definition.items?.type ?? 'unknown') : definition.type
    params.set(name, { name, isArray, type })
    if (definition.default !== undefined) defaults.push([name, definition.default])
  }
  return {
    decode: (query) => decodeQuery(query, params),
    encode: (values) => encodeQuery({ ...Object.fromEntries(defaults), ...values }),
  }
}

function decodeQuery(query: string, params: ReadonlyMap<string, Param>): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  if (query === '') return values
  if (query.length > MAX_QUERY_LENGTH) throw new InvalidRequestError('query string too long')
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const param = params.get(decodeText(equals === -1 ? pair : pair.slice(0, equals)))
    if (param === undefined) continue
    const value = decodeValue(param, decodeText(equals === -1 ? '' : pair.slice(equals + 1)))
    if (param.isArray) {
      const list = values[param.name]
      if (Array.isArray(list)) list.push(value)
      else setOwn(values, param.name, [value])
    } else {
      if (Object.hasOwn(values, param.name)) {
        throw new InvalidRequestError(`parameter "${param.name}" must not be repeated`)
      }
      setOwn(values, param.name, value)
    }
  }
  return values
}

function decodeText(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch (cause) {
    throw new InvalidRequestError('malformed escape in query string', { cause })
  }
}

function decodeValue(param: Param, text: string): unknown {
  switch (param.type) {
    case 'integer': {
      const value = Number(text)
      if (!INTEGER.test(text) || !Number.isSafeInteger(value)) {
        throw new InvalidRequestError(`parameter "${param.name}" must be an integer`)
      }
      return value
    }
    case 'boolean':
      if (text === 'true') return true
      if (text === 'false') return false
      throw new InvalidRequestError(`parameter "${param.name}" must be true or false`)
    default:
      return text
  }
}

/** Writes parameters as a query string: arrays as repeated names, absent values left out. */
export function encodeQuery(params: Readonly<Record<string, unknown>>): string {
  const pairs: string[] = []
  for (const [name, value] of Object.entries(params)) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value]
    for (const item of items) {
      if (item === undefined || item === null) continue
      if (typeof item !== 'string' && typeof item !== 'number' && typeof item !== 'boolean') {
        throw new TypeError(`parameter "${name}" must be text, a number or a boolean`)
      }
      pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(item)}`)
    }
  }
  return pairs.join('&')
}
