import { Lexicons } from '@atproto/lexicon'
import { setOwn } from './data-model.ts'
import { InvalidRequestError } from './errors.ts'

/** Longest query string looked at, in characters. Node itself stops at 16 KiB of headers. */
export const MAX_QUERY_LENGTH = 65_536
const INTEGER = /^(?:0|-?[1-9][0-9]*)$/

type Definition = NonNullable<ReturnType<Lexicons['getDef']>>
type ParamsDefinition = NonNullable<Extract<Definition, { type: 'query' }>['parameters']>
type ParamDefinition = NonNullable<ParamsDefinition['properties']>[string]

interface Param {
  readonly name: string
  readonly isArray: boolean
  readonly type: string
  readonly definition: ParamDefinition
}

/** The parameters of one method. */
export interface ParamsCodec {
  /**
   * Reads a query string without its question mark. Unknown names are ignored, defaults filled in.
   *
   * @throws {InvalidRequestError} when it does not match the lexicon: repeated scalars, values that are not of their type
   * or out of range, missing ones, bad escapes
   */
  decode(query: string): Record<string, unknown>
  /** Writes a query string without its question mark, defaults included. */
  encode(params: Readonly<Record<string, unknown>>): string
}

/** Compiles the `parameters` of a method. */
export function compileParams(definition: ParamsDefinition | undefined): ParamsCodec {
  const params = new Map<string, Param>()
  const defaults: [string, unknown][] = []
  for (const [name, property] of Object.entries(definition?.properties ?? {})) {
    const isArray = property.type === 'array'
    params.set(name, {
      name,
      isArray,
      type: isArray ? property.items.type : property.type,
      definition: property,
    })
    if ('default' in property && property.default !== undefined) {
      defaults.push([name, property.default])
    }
  }
  const required = definition?.required ?? []
  const validator = new PresentParamsValidator()
  return {
    decode(query) {
      const values = decodeQuery(query, params)
      if (params.size === 0) return values
      validator.check(values, params)
      for (const [name, value] of defaults) if (!Object.hasOwn(values, name)) values[name] = value
      for (const name of required) {
        if (!Object.hasOwn(values, name)) {
          throw new InvalidRequestError(`parameter "${name}" is required`)
        }
      }
      return values
    },
    encode: (values) => encodeQuery({ ...Object.fromEntries(defaults), ...values }),
  }
}

/**
 * The lexicon validator makes an error object, with its stack, for each parameter that is absent. Showing it only the
 * definitions of those that are present makes it several times faster.
 */
class PresentParamsValidator extends Lexicons {
  #definition: Definition | undefined

  override getDef(): Definition | undefined {
    return this.#definition
  }

  check(values: Readonly<Record<string, unknown>>, params: ReadonlyMap<string, Param>): void {
    const properties: Record<string, ParamDefinition> = {}
    let count = 0
    for (const name of Object.keys(values)) {
      const param = params.get(name)
      if (param === undefined) continue
      setOwn(properties, name, param.definition)
      count++
    }
    if (count === 0) return
    this.#definition = { type: 'query', parameters: { type: 'params', properties } }
    try {
      this.assertValidXrpcParams('lex:params', values)
    } catch (cause) {
      throw new InvalidRequestError(cause instanceof Error ? cause.message : 'invalid parameter', {
        cause,
      })
    }
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
