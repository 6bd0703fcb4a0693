import type { LexiconCatalog } from './catalog.ts'
import type { AnyMethodId, CallContext, MethodFor, XrpcMethod, XrpcReply } from './method.ts'
import type { XrpcRequest, XrpcResponse } from './request.ts'

/** Serves what no method does: proxying, or a 501. */
export type FallbackHandler = (
  call: CallContext,
) => Promise<XrpcReply | XrpcResponse | Response | undefined>

/** Options of {@link createRouter}. */
export interface RouterOptions<R> {
  readonly lexicons: LexiconCatalog<R>
  /** Told once about each failure that answers with status 500, with its cause. */
  readonly onError?: (error: unknown, call: CallContext) => void
  /** Checks what handlers return against the lexicon, failing with 500. @defaultValue false */
  readonly validateOutput?: boolean
  /** Longest JSON input in bytes. @defaultValue 1,048,576 */
  readonly maxJsonBytes?: number
  /** Longest binary input in bytes. @defaultValue 104,857,600 */
  readonly maxBinaryBytes?: number
  /** Sends CORS headers that allow any origin and answers preflights. @defaultValue true */
  readonly cors?: boolean
  /** Body of `/xrpc/_health`. @defaultValue `{}` */
  readonly health?: () => object | Promise<object>
}

/** Options of {@link Router.fetch}. */
export interface FetchInfo {
  /** Address of the caller, if the runtime tells. */
  readonly ip?: string
}

/** Serves XRPC methods. */
export interface Router<R> {
  readonly lexicons: LexiconCatalog<R>
  /** Adds a method made with {@link defineMethod}. */
  add(method: XrpcMethod): this
  /** Adds a method typed by its lexicon. */
  add<const N extends AnyMethodId<R>, A = undefined>(nsid: N, method: MethodFor<R, N, A>): this
  /** Sets the handler of everything that no method serves. */
  fallback(handler: FallbackHandler): this
  /** Serves a Web request. Never rejects. */
  fetch(request: Request, info?: FetchInfo): Promise<Response>
  /** Serves a neutral request; what adapters call. Never rejects. */
  handle(request: XrpcRequest): Promise<XrpcResponse>
  has(nsid: string): boolean
}

/** Makes a router. */
export declare function createRouter<R>(options: RouterOptions<R>): Router<R>

/** Binds a method to its NSID with its types checked, for files that define one method each. */
export declare function defineMethod<R, const N extends AnyMethodId<R>, A = undefined>(
  lexicons: LexiconCatalog<R>,
  nsid: N,
  method: MethodFor<R, N, A>,
): XrpcMethod
