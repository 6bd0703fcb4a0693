import type { Lexicons } from '@atproto/lexicon'
import { fromJson, MAX_INPUT_DEPTH, MAX_OUTPUT_DEPTH } from './data-model.ts'
import { compileParams } from './params.ts'
import { checkStrictly } from './strict-values.ts'
import { unwrapBlobs, validationFailure, wrapBlobs } from './validation.ts'

/** A method of a catalog, ready to serve or to call. */
export interface CompiledMethod {
  readonly nsid: string
  readonly type: 'query' | 'procedure' | 'subscription'
  /** Content types of the input, globs possible; empty when there is no input. */
  readonly inputEncodings: readonly string[]
  /** Whether an input schema exists, which is only ever so for JSON. */
  readonly hasInputSchema: boolean
  /** Content type of the output as the lexicon has it, globs possible. */
  readonly outputEncoding: string | undefined
  readonly hasOutputSchema: boolean
  /** Error names that the lexicon declares. */
  readonly errors: readonly string[]
  /** Full `$type` of each message of a subscription. */
  readonly messageTypes: readonly string[]
  /** Framing that the lexicon names for a subscription when client and server agree on no other. */
  readonly subprotocol: string | undefined
  /**
   * Reads and checks a query string (without question mark), filling in defaults.
   * @throws {InvalidRequestError} when it does not match the lexicon
   */
  decodeParams(query: string): Record<string, unknown>
  /** Writes a query string, defaults included. Not checked against the lexicon: that is the server's part. */
  encodeParams(params: Readonly<Record<string, unknown>>): string
  /**
   * Checks parsed JSON, giving data-model values with defaults filled in.
   * @throws {InvalidDataError} when it is not a data-model value
   * @throws {ValidationError} when it does not match the lexicon
   * @throws {InvalidLexiconError} when the lexicon refers to a document that the catalog does not have
   */
  readInput(json: unknown): unknown
  /**
   * The same for an output.
   * @throws what {@link CompiledMethod.readInput} throws
   */
  readOutput(json: unknown): unknown
  /**
   * The same for a message of a subscription, which carries its `$type`.
   * @throws what {@link CompiledMethod.readInput} throws
   */
  readMessage(message: unknown): unknown
}

/** Compiles a method; `undefined` when the document's main definition is not a method. */
export function compileMethod(lexicons: Lexicons, nsid: string): CompiledMethod | undefined {
  const definition = lexicons.getDef(`lex:${nsid}`)
  if (definition === undefined) return undefined
  const { type } = definition
  if (type !== 'query' && type !== 'procedure' && type !== 'subscription') return undefined
  const uri = `lex:${nsid}`
  const input = type === 'procedure' ? definition.input : undefined
  const output = type === 'subscription' ? undefined : definition.output
  const params = compileParams(definition.parameters)
  return {
    nsid,
    type,
    inputEncodings: encodingsOf(input?.encoding),
    hasInputSchema: input?.schema !== undefined,
    outputEncoding: output?.encoding,
    hasOutputSchema: output?.schema !== undefined,
    errors: (definition.errors ?? []).map(({ name }) => name),
    messageTypes: type === 'subscription' ? messageTypesOf(definition.message?.schema) : [],
    subprotocol: subprotocolOf(definition),
    decodeParams: (query) => params.decode(query),
    encodeParams: (values) => params.encode(values),
    readInput: (json) =>
      read(json, MAX_INPUT_DEPTH, (value) => {
        const checked = lexicons.assertValidXrpcInput(uri, value)
        checkStrictly(lexicons, input?.schema, value, 'Input')
        return checked
      }),
    readOutput: (json) =>
      read(json, MAX_OUTPUT_DEPTH, (value) => lexicons.assertValidXrpcOutput(uri, value)),
    readMessage: (message) =>
      read(message, MAX_INPUT_DEPTH, (value) => lexicons.assertValidXrpcMessage(uri, value)),
  }
}

function read(json: unknown, maxDepth: number, validate: (value: unknown) => unknown): unknown {
  const data = fromJson(json, { maxDepth })
  const wrapped = wrapBlobs(data, false)
  try {
    const result = validate(wrapped)
    return wrapped === data ? (result ?? data) : unwrapBlobs(result)
  } catch (cause) {
    throw validationFailure(cause)
  }
}

function messageTypesOf(schema: { readonly type: string } | undefined): readonly string[] {
  const { refs = [] } = (schema ?? {}) as { readonly refs?: readonly string[] }
  return refs.map((ref) => ref.replace(/^lex:/, ''))
}

/** A field of the draft; the library's own types do not have it yet. */
function subprotocolOf(definition: object): string | undefined {
  const { subprotocol } = definition as { readonly subprotocol?: unknown }
  return typeof subprotocol === 'string' ? subprotocol : undefined
}

function encodingsOf(encoding: string | undefined): readonly string[] {
  return encoding === undefined ? [] : encoding.split(',').map((type) => type.trim().toLowerCase())
}
