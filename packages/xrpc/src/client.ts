import { collect, parseMediaType, toReadableStream } from './body.ts'
import type { LexiconCatalog } from './catalog.ts'
import type { CompiledMethod } from './compiled-method.ts'
import { fromJson, MAX_OUTPUT_DEPTH, toJson } from './data-model.ts'
import { readErrorResponse } from './error-response.ts'
import { ConnectionError, InvalidResponseError, XrpcPackageError } from './errors.ts'
import type { FetchLike } from './fetch-like.ts'
import type { InputOf, MethodIds, OutputOf, ParamsOf } from './infer.ts'
import { withRetries } from './retry.ts'
import type { RetryOptions } from './retry.ts'

/** 30 s, for a JSON answer to be complete, or the headers of another one to arrive. */
const TIMEOUT_MS = 30_000
/** 10 MB of JSON. Binary answers are streams, bounded by whoever reads them. */
export const MAX_RESPONSE_BYTES = 10_000_000

/** Options of {@link createClient}. */
export interface ClientOptions<R> {
  /** Origin of the server: `https://pds.example.com`. */
  readonly service: string
  readonly lexicons: LexiconCatalog<R>
  /** Sends requests, the `fetch` of a session for example. @defaultValue the global `fetch` */
  readonly fetch?: FetchLike
  /** Sent with every call. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  /** Repetition of queries that failed for a passing reason. Procedures are never repeated. */
  readonly retry?: RetryOptions
  /**
   * Checks answers against the lexicon and fills in defaults.
   * @defaultValue true
   */
  readonly validateOutput?: boolean
  /** Time for one attempt, in milliseconds. @defaultValue 30,000 */
  readonly timeoutMs?: number
  /** Longest JSON answer, in bytes. @defaultValue 10,000,000 */
  readonly maxResponseBytes?: number
}

/** Options of one call. */
export interface CallOptions {
  /** Sent with this call, winning over the client's. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Options of one procedure call. */
export interface ProcedureCallOptions extends CallOptions {
  /** Query parameters, for the few procedures that take some. */
  readonly params?: Readonly<Record<string, unknown>>
  /** Content type of a binary body. @defaultValue the type of a `Blob`, else `application/octet-stream` */
  readonly encoding?: string
}

/** An answer with its headers. */
export interface CallResult<T> {
  readonly data: T
  readonly status: number
  readonly headers: Headers
}

/** Calls XRPC methods, typed by the catalog. */
export interface Client<R> {
  readonly service: string
  /**
   * Calls a query and gives its output: checked data-model values, or a stream of bytes.
   *
   * @throws {XrpcError} when the server answers with an error
   * @throws {ConnectionError} when it does not answer
   * @throws {InvalidResponseError} when the answer is not what the lexicon says, or too long
   */
  query<const N extends MethodIds<R, 'query'>>(
    nsid: N,
    params?: ParamsOf<R, N, 'provide'>,
    options?: CallOptions,
  ): Promise<OutputOf<R, N>>
  /** Calls a procedure. Throws as {@link Client.query} does; never repeated by itself. */
  procedure<const N extends MethodIds<R, 'procedure'>>(
    nsid: N,
    input?: InputOf<R, N, 'provide'>,
    options?: ProcedureCallOptions,
  ): Promise<OutputOf<R, N>>
  /** Calls a query and gives its answer with status and headers. */
  queryResult<const N extends MethodIds<R, 'query'>>(
    nsid: N,
    params?: ParamsOf<R, N, 'provide'>,
    options?: CallOptions,
  ): Promise<CallResult<OutputOf<R, N>>>
  /** Calls a procedure and gives its answer with status and headers. */
  procedureResult<const N extends MethodIds<R, 'procedure'>>(
    nsid: N,
    input?: InputOf<R, N, 'provide'>,
    options?: ProcedureCallOptions,
  ): Promise<CallResult<OutputOf<R, N>>>
  /**
   * Pages of a query that takes a `cursor`, until an answer has none. Empty pages do not end it; a cursor that repeats
   * does, as the server would otherwise be asked for ever.
   */
  paginate<const N extends MethodIds<R, 'query'>>(
    nsid: N,
    params?: ParamsOf<R, N, 'provide'>,
    options?: CallOptions,
  ): AsyncGenerator<OutputOf<R, N>, void, void>
}

/** Makes a client. */
export function createClient<R>(options: ClientOptions<R>): Client<R> {
  return new XrpcClient(options) as unknown as Client<R>
}

type Params = Readonly<Record<string, unknown>>

interface OutgoingCall {
  readonly method: CompiledMethod
  readonly url: string
  readonly init: RequestInit
  readonly signal: AbortSignal | undefined
}

class XrpcClient {
  readonly service: string
  readonly #options: ClientOptions<unknown>
  readonly #fetch: FetchLike

  constructor(options: ClientOptions<unknown>) {
    this.service = new URL(options.service).origin
    this.#options = options
    this.#fetch = options.fetch ?? (async (url, init) => globalThis.fetch(url, init))
  }

  async query(nsid: string, params?: Params, options?: CallOptions): Promise<unknown> {
    return (await this.queryResult(nsid, params, options)).data
  }

  async procedure(nsid: string, input?: unknown, options?: ProcedureCallOptions): Promise<unknown> {
    return (await this.procedureResult(nsid, input, options)).data
  }

  async queryResult(
    nsid: string,
    params: Params = {},
    options: CallOptions = {},
  ): Promise<CallResult<unknown>> {
    const { url, method } = this.#target(nsid, params)
    const init = { method: 'GET', headers: this.#headers(options) }
    const call = { method, url, init, signal: options.signal }
    return withRetries(async () => this.#send(call), this.#options.retry ?? {}, options.signal)
  }

  async procedureResult(
    nsid: string,
    input?: unknown,
    options: ProcedureCallOptions = {},
  ): Promise<CallResult<unknown>> {
    const { url, method } = this.#target(nsid, options.params ?? {})
    const { body, encoding } = encodeInput(method, input, options.encoding)
    const headers = this.#headers(options)
    if (encoding !== undefined) headers['content-type'] = encoding
    const init: RequestInit & { duplex?: 'half' } = { method: 'POST', headers }
    if (body !== undefined) init.body = body
    if (body instanceof ReadableStream) init.duplex = 'half'
    return this.#send({ method, url, init, signal: options.signal })
  }

  async *paginate(
    nsid: string,
    params: Params = {},
    options: CallOptions = {},
  ): AsyncGenerator<unknown, void, void> {
    let cursor = params['cursor']
    const seen = new Set([cursor])
    for (;;) {
      const page = await this.query(nsid, { ...params, cursor }, options)
      yield page
      const { cursor: next } = page as { readonly cursor?: unknown }
      if (typeof next !== 'string' || next === '' || seen.has(next)) return
      seen.add(next)
      cursor = next
    }
  }

  #target(nsid: string, params: Params): { url: string; method: CompiledMethod } {
    const method = this.#options.lexicons.method(nsid)
    if (method === undefined) throw new TypeError(`no such method in the catalog; nsid=${nsid}`)
    const query = method.encodeParams(params)
    return { url: `${this.service}/xrpc/${nsid}${query === '' ? '' : `?${query}`}`, method }
  }

  #headers(options: CallOptions): Record<string, string> {
    return { ...this.#options.headers, ...options.headers }
  }

  async #send({ method, url, init, signal }: OutgoingCall): Promise<CallResult<unknown>> {
    signal?.throwIfAborted()
    const { timeoutMs = TIMEOUT_MS } = this.#options
    const timeout = new AbortController()
    const timer = setTimeout(() => timeout.abort(), timeoutMs)
    const signals = signal === undefined ? [timeout.signal] : [signal, timeout.signal]
    try {
      const response = await this.#fetch(url, { ...init, signal: AbortSignal.any(signals) })
      if (!response.ok) throw await readErrorResponse(response)
      const data = await this.#readOutput(method, response)
      return { data, status: response.status, headers: response.headers }
    } catch (cause) {
      if (cause instanceof XrpcPackageError) throw cause
      signal?.throwIfAborted()
      throw new ConnectionError(method.nsid, { cause })
    } finally {
      clearTimeout(timer)
    }
  }

  async #readOutput(method: CompiledMethod, response: Response): Promise<unknown> {
    const { maxResponseBytes = MAX_RESPONSE_BYTES, validateOutput = true } = this.#options
    const { outputEncoding, nsid } = method
    if (outputEncoding === undefined) {
      await response.body?.cancel()
      return undefined
    }
    if (outputEncoding !== 'application/json') return response.body ?? emptyBody()
    const type = parseMediaType(response.headers.get('content-type'))
    if (type !== 'application/json') {
      await response.body?.cancel()
      throw new InvalidResponseError(nsid, response.status, 'content-type is not JSON')
    }
    const bytes = await collect(capped(response, nsid, maxResponseBytes))
    try {
      const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
      return validateOutput && method.hasOutputSchema
        ? method.readOutput(json)
        : fromJson(json, { maxDepth: MAX_OUTPUT_DEPTH })
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : 'unreadable'
      throw new InvalidResponseError(nsid, response.status, reason, { cause })
    }
  }
}

/** The body of an answer, failing as soon as it is longer than `maxBytes`. */
export async function* capped(
  response: Response,
  nsid: string,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let length = 0
  for await (const chunk of response.body ?? emptyBody()) {
    length += chunk.length
    if (length > maxBytes) throw new InvalidResponseError(nsid, response.status, 'too long')
    yield chunk
  }
}

async function* emptyBody(): AsyncGenerator<Uint8Array, void, void> {}

function encodeInput(
  method: CompiledMethod,
  input: unknown,
  encoding: string | undefined,
): { body: BodyInit | undefined; encoding: string | undefined } {
  if (input === undefined || method.inputEncodings.length === 0) {
    return { body: undefined, encoding: undefined }
  }
  if (input instanceof Blob) {
    return { body: input, encoding: encoding ?? (input.type || 'application/octet-stream') }
  }
  const binary = encoding ?? 'application/octet-stream'
  if (input instanceof Uint8Array) {
    return { body: input as Uint8Array<ArrayBuffer>, encoding: binary }
  }
  if (typeof input === 'object' && input !== null && Symbol.asyncIterator in input) {
    return { body: toReadableStream(input as AsyncIterable<Uint8Array>), encoding: binary }
  }
  return { body: JSON.stringify(toJson(input)), encoding: encoding ?? 'application/json' }
}
