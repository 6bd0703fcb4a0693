import { Call, checkName, checkVerb, Context, notImplemented, splitUrl, wrongVerb } from './call.ts'
import { MAX_BINARY_BYTES, MAX_JSON_BYTES, readInput } from './body.ts'
import type { CallContext } from './call-context.ts'
import type { LexiconCatalog } from './catalog.ts'
import type { CompiledMethod } from './compiled-method.ts'
import { corsHeaders, preflight } from './cors.ts'
import { InvalidRequestError } from './errors.ts'
import type { AnyContext, AnyMethodId, AuthStep, MethodOptions, XrpcMethod } from './method.ts'
import { XrpcReply } from './method.ts'
import { consumeAll } from './rate-limit.ts'
import type { RateLimit } from './rate-limit.ts'
import type { XrpcRequest, XrpcResponse } from './request.ts'
import { checkedChunks, releasedOnAbort } from './response-stream.ts'
import {
  checkSendable,
  discard,
  errorResponse,
  fromWebResponse,
  isBytes,
  outputResponse,
  toWebResponse,
} from './response.ts'
import { CBOR_SUBPROTOCOL, negotiate, supported } from './subprotocol.ts'
import type { Subprotocol } from './subprotocol.ts'
import { checkedMessages, openSubscription } from './subscription.ts'
import type { Subscription } from './subscription.ts'
import { fromWebRequest } from './web-request.ts'
import { pumpToSocket, withSignal } from './web-socket.ts'
import type { UpgradeWebSocket } from './web-socket.ts'

/** Serves what no method does, proxying for example. `undefined` means 501. */
export type FallbackHandler = (
  call: CallContext,
) => Promise<XrpcReply | XrpcResponse | Response | undefined>

/** Runs around every call that reaches a method or the fallback. Subscriptions that are opened pass it by. */
export type Middleware = (
  call: CallContext,
  next: () => Promise<XrpcResponse>,
) => Promise<XrpcResponse>

/** Options of {@link createRouter}. */
export interface RouterOptions<R> {
  readonly lexicons: LexiconCatalog<R>
  /**
   * Told once about each failure whose reason the caller is not told: status 500, and any 5xx that has a cause. What it
   * throws itself is dropped, so that a log that fails costs nobody an answer.
   */
  readonly onError?: (error: unknown, call: CallContext) => unknown
  /** Around every call, the first one outermost. */
  readonly middleware?: readonly Middleware[]
  /** Limits on all calls, proxied ones included, checked before anything else. */
  readonly limits?: readonly RateLimit[]
  /**
   * Checks what handlers return or yield against the lexicon, failing with 500 or an error frame. Text, bytes and streams
   * pass as they are.
   * @defaultValue false
   */
  readonly validateOutput?: boolean
  /** Longest JSON input in bytes, after decompression. @defaultValue 1,048,576 */
  readonly maxJsonBytes?: number
  /** Longest other input in bytes, after decompression. @defaultValue 104,857,600 */
  readonly maxBinaryBytes?: number
  /** Sends CORS headers that allow any origin, and answers preflights. @defaultValue true */
  readonly cors?: boolean
  /**
   * Frontier: offers subscriptions as `xrpc.v1.json` too, to clients that ask for it. After proposal 0015 in its draft
   * of 2026-06-18, and changing with it.
   * @defaultValue false
   */
  readonly jsonSubscriptions?: boolean
  /** Body of `/xrpc/_health`. @defaultValue `{}` */
  readonly health?: () => object | Promise<object>
}

/** Options of {@link Router.fetch}. */
export interface FetchInfo {
  /** Address of the caller, if the runtime tells. */
  readonly ip?: string
  /**
   * Makes a WebSocket of an upgrade request, in the way of the runtime: `Deno.upgradeWebSocket`, or a `WebSocketPair` on
   * Workers. Without it subscriptions answer 501.
   */
  readonly upgrade?: UpgradeWebSocket
}

/** Serves XRPC methods: give it requests by `fetch`, or through an adapter. */
export interface Router<R> {
  readonly lexicons: LexiconCatalog<R>
  /**
   * Adds a method made with {@link defineMethod}.
   * @throws {TypeError} when the method is already served, no method of the catalog, or a subscription that is only spoken
   * with {@link RouterOptions.jsonSubscriptions}
   */
  add(method: XrpcMethod): this
  /** Adds a method typed by its lexicon. */
  add<const N extends AnyMethodId<R>, A = undefined>(nsid: N, method: MethodOptions<R, N, A>): this
  /** Sets the handler of everything that no method serves. Methods always win. */
  fallback(handler: FallbackHandler): this
  has(nsid: string): boolean
  /** Serves a Web request. Never rejects. */
  fetch(request: Request, info?: FetchInfo): Promise<Response>
  /** Serves a neutral request; what adapters call. Never rejects. */
  handle(request: XrpcRequest): Promise<XrpcResponse>
  /** Opens a subscription for an adapter that can upgrade to WebSocket, or gives the refusal. Never rejects. */
  subscribe(request: XrpcRequest): Promise<Subscription | XrpcResponse>
}

/** Makes a router. */
export function createRouter<R>(options: RouterOptions<R>): Router<R> {
  return new XrpcRouter(options) as unknown as Router<R>
}

/** Binds a method to its NSID with its types checked, for files that define one method each. */
export function defineMethod<R, const N extends AnyMethodId<R>, A = undefined>(
  lexicons: LexiconCatalog<R>,
  nsid: N,
  method: MethodOptions<R, N, A>,
): XrpcMethod {
  if (lexicons.method(nsid) === undefined) throw new TypeError(`no such method; nsid=${nsid}`)
  return erase(nsid, method)
}

interface ErasableMethod {
  readonly auth?: AuthStep<unknown>
  readonly maxInputBytes?: number
  readonly limits?: readonly RateLimit<AnyContext>[]
  readonly handler: (context: AnyContext) => unknown
}

/** From here on types have been checked at the call of `add`; the lexicon checks values at run time. */
function erase(nsid: string, method: unknown): XrpcMethod {
  const { auth, maxInputBytes, limits, handler } = method as ErasableMethod
  return { nsid, auth, maxInputBytes, limits, handler }
}

interface Route extends XrpcMethod {
  readonly compiled: CompiledMethod
  /** Of a subscription when the client asks for none that is spoken. */
  readonly subprotocol: Subprotocol
}

class XrpcRouter {
  readonly lexicons: LexiconCatalog
  readonly #options: RouterOptions<unknown>
  readonly #routes = new Map<string, Route>()
  readonly #cors: boolean
  readonly #subprotocols: readonly Subprotocol[]
  #fallback: FallbackHandler | undefined

  constructor(options: RouterOptions<unknown>) {
    this.lexicons = options.lexicons
    this.#options = options
    this.#cors = options.cors ?? true
    this.#subprotocols = supported(options.jsonSubscriptions ?? false)
  }

  add(first: string | XrpcMethod, options?: unknown): this {
    const method = typeof first === 'string' ? erase(first, options) : first
    const { nsid } = method
    const compiled = this.lexicons.method(nsid)
    if (compiled === undefined) throw new TypeError(`no such method in the catalog; nsid=${nsid}`)
    if (this.#routes.has(nsid)) throw new TypeError(`method added twice; nsid=${nsid}`)
    const { subprotocol: named = CBOR_SUBPROTOCOL } = compiled
    const subprotocol = this.#subprotocols.find((name) => name === named)
    if (subprotocol === undefined) {
      throw new TypeError(`subprotocol not spoken; nsid=${nsid}, name=${named}`)
    }
    this.#routes.set(nsid, { ...method, compiled, subprotocol })
    return this
  }

  fallback(handler: FallbackHandler): this {
    this.#fallback = handler
    return this
  }

  has(nsid: string): boolean {
    return this.#routes.has(nsid)
  }

  async fetch(request: Request, info: FetchInfo = {}): Promise<Response> {
    const { ip, upgrade } = info
    const call = fromWebRequest(request, ip)
    const wanted = request.headers.get('upgrade')?.toLowerCase()
    if (wanted !== 'websocket' || upgrade === undefined) {
      return toWebResponse(await this.handle(call))
    }
    const gone = new AbortController()
    const answer = await this.subscribe(withSignal(call, gone.signal))
    if (!('frames' in answer)) return toWebResponse(answer)
    const { subprotocol } = answer
    const options = subprotocol === undefined ? {} : { protocol: subprotocol }
    let upgraded: ReturnType<UpgradeWebSocket>
    try {
      upgraded = upgrade(request, options)
    } catch (cause) {
      // Runtimes refuse handshakes that are none by throwing.
      gone.abort()
      const refusal = new InvalidRequestError('not a WebSocket handshake', { cause })
      return toWebResponse(errorResponse(refusal))
    }
    void pumpToSocket(upgraded.socket, answer, gone)
    return upgraded.response
  }

  async handle(request: XrpcRequest): Promise<XrpcResponse> {
    if (request.method === 'OPTIONS' && this.#cors) return preflight(request)
    const { nsid, query } = splitUrl(request.url)
    const call = new Call(nsid, request)
    let response: XrpcResponse
    try {
      response = await this.#respond(call, query)
      checkSendable(response)
    } catch (error) {
      response = this.#failed(error, call)
    }
    if (call.limitHeaders !== undefined) {
      response = { ...response, headers: { ...call.limitHeaders, ...response.headers } }
    }
    if (request.method === 'HEAD') response = { ...response, body: undefined }
    if (!this.#cors) return response
    return { ...response, headers: { ...corsHeaders(), ...response.headers } }
  }

  async subscribe(request: XrpcRequest): Promise<Subscription | XrpcResponse> {
    const { nsid, query } = splitUrl(request.url)
    const call = new Call(nsid, request)
    try {
      checkName(nsid)
      const route = this.#routes.get(nsid)
      if (route === undefined) throw notImplemented(nsid)
      if (route.compiled.type !== 'subscription') {
        throw new InvalidRequestError('this method is not a subscription')
      }
      if (request.method !== 'GET') throw wrongVerb('GET')
      const { limits } = this.#options
      if (limits !== undefined) await consumeAll(limits, call)
      const context = await authorize(route, call, query)
      if (route.limits !== undefined) await consumeAll(route.limits, context)
      const offers = request.headers.get('sec-websocket-protocol')
      const agreed = negotiate(offers, this.#subprotocols, route.subprotocol)
      const yielded = route.handler(context) as AsyncIterable<unknown>
      const { validateOutput = false } = this.#options
      const items = validateOutput ? checkedMessages(route.compiled, yielded) : yielded
      return openSubscription(nsid, items, agreed, (error) => this.#report(error, call))
    } catch (error) {
      return this.#failed(error, call)
    }
  }

  async #respond(call: Call, query: string): Promise<XrpcResponse> {
    if (call.nsid === '_health') {
      const health = await this.#options.health?.()
      return outputResponse(health ?? {}, 'application/json')
    }
    checkName(call.nsid)
    const { middleware, limits } = this.#options
    if (limits !== undefined) call.limitHeaders = await consumeAll(limits, call)
    if (middleware === undefined || middleware.length === 0) return this.#dispatch(call, query)
    let next = (): Promise<XrpcResponse> => this.#dispatch(call, query)
    for (const layer of middleware.toReversed()) {
      const inner = next
      // A failure becomes a response at every layer, so that middleware sees what the caller will see.
      next = async () => {
        try {
          return await layer(call, inner)
        } catch (error) {
          return this.#failed(error, call)
        }
      }
    }
    return next()
  }

  async #dispatch(call: Call, query: string): Promise<XrpcResponse> {
    const route = this.#routes.get(call.nsid)
    if (route === undefined) return this.#fall(call)
    const { compiled } = route
    checkVerb(compiled, call.request)
    const context = await authorize(route, call, query)
    if (route.limits !== undefined) {
      call.limitHeaders = (await consumeAll(route.limits, context)) ?? call.limitHeaders
    }
    if (compiled.type === 'procedure') {
      const { input, encoding } = await readInput(compiled, call.request, this.#limits(route))
      context.input = input
      context.encoding = encoding
    }
    const output = await route.handler(context)
    if (this.#options.validateOutput === true) checkOutput(compiled, output)
    const response = outputResponse(output, compiled.outputEncoding)
    return this.#watched(response, call)
  }

  async #fall(call: Call): Promise<XrpcResponse> {
    const { method } = call.request
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST')
      throw wrongVerb('GET, HEAD, POST')
    const result = await this.#fallback?.(call)
    if (result === undefined) throw notImplemented(call.nsid)
    if (result instanceof Response) return this.#watched(fromWebResponse(result), call)
    if (result instanceof XrpcReply) return this.#watched(outputResponse(result, undefined), call)
    return this.#watched(result, call)
  }

  #limits(route: Route): { maxJsonBytes: number; maxBinaryBytes: number } {
    const { maxJsonBytes = MAX_JSON_BYTES, maxBinaryBytes = MAX_BINARY_BYTES } = this.#options
    return {
      maxJsonBytes: route.maxInputBytes ?? maxJsonBytes,
      maxBinaryBytes: route.maxInputBytes ?? maxBinaryBytes,
    }
  }

  /** A stream that fails after the status line went out can only be reported here; one that HEAD asked for is let go. */
  #watched(response: XrpcResponse, call: Call): XrpcResponse {
    const { body } = response
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
      return response
    }
    try {
      checkSendable(response)
    } catch (error) {
      discard(body)
      throw error
    }
    if (call.request.method === 'HEAD') {
      discard(body)
      return { ...response, body: undefined }
    }
    return { ...response, body: this.#watch(body, response.headers['content-length'], call) }
  }

  async *#watch(
    body: AsyncIterable<Uint8Array>,
    declared: string | undefined,
    call: Call,
  ): AsyncGenerator<Uint8Array, void, void> {
    const lengthLeft = declared === undefined ? undefined : Number(declared)
    try {
      yield* checkedChunks(releasedOnAbort(body, call.signal), lengthLeft)
    } catch (error) {
      this.#report(error, call)
      throw error
    }
  }

  #failed(error: unknown, call: Call): XrpcResponse {
    const response = errorResponse(error)
    try {
      checkSendable(response)
    } catch (unsendable) {
      this.#report(unsendable, call)
      return errorResponse(unsendable)
    }
    if (response.status === 500 || (response.status > 500 && hasCause(error))) {
      this.#report(error, call)
    }
    return response
  }

  #report(error: unknown, call: Call): void {
    const { onError } = this.#options
    if (onError === undefined || call.request.signal.aborted) return
    // Dropped, as promised: the caller's answer, and the process, must not depend on it.
    const tell = async (): Promise<unknown> => onError(error, call)
    tell().catch(() => undefined)
  }
}

function hasCause(error: unknown): boolean {
  return error instanceof Error && error.cause !== undefined
}

async function authorize(route: Route, call: Call, query: string): Promise<Context> {
  const context = new Context(call, route.compiled.decodeParams(query))
  if (route.auth !== undefined) context.auth = await route.auth(context)
  return context
}

function checkOutput(method: CompiledMethod, output: unknown): void {
  if (output instanceof Response) return
  const body = output instanceof XrpcReply ? output.body : output
  if (!method.hasOutputSchema || typeof body === 'string' || isBytes(body)) return
  method.readOutput(body)
}
