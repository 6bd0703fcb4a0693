import type { XrpcError, XrpcErrorOptions } from './errors.ts'
import type { ErrorOf, InputOf, MessageOf, MethodIds, OutputOf, ParamsOf } from './infer.ts'
import type { XrpcRequest } from './request.ts'

type Awaitable<T> = T | Promise<T>

/** What an {@link AuthStep} and every handler can see of the call. */
export interface CallContext {
  readonly nsid: string
  readonly request: XrpcRequest
  /** Aborts when the caller goes away or the server stops. */
  readonly signal: AbortSignal
}

/** Turns a request into credentials, or throws `AuthRequiredError` / `ForbiddenError`. Runs before input is read. */
export type AuthStep<A> = (call: CallContext) => Awaitable<A>

/** What a query handler gets. */
export interface QueryContext<R, N extends string, A> extends CallContext {
  readonly params: ParamsOf<R, N>
  readonly auth: A
  /** Makes an error of the lexicon's names: `throw context.error('RecordNotFound', '…')`. Status 400 unless told. */
  error(
    name: ErrorOf<R, N> | 'InvalidRequest',
    message?: string,
    options?: XrpcErrorOptions & { readonly status?: number },
  ): XrpcError
}

/** What a procedure handler gets. `input` is the JSON body as data-model values, or the byte stream. */
export interface ProcedureContext<R, N extends string, A> extends QueryContext<R, N, A> {
  readonly input: InputOf<R, N>
  /** Content type of the body without parameters, or `undefined` when there is no body. */
  readonly encoding: string | undefined
}

/** What a subscription handler gets. */
export type SubscriptionContext<R, N extends string, A> = QueryContext<R, N, A>

/** A message to encode (with its `$type`: `#commit` or the full name), or an encoded frame to send as it is. */
export type SubscriptionItem<R, N extends string> = Uint8Array | MessageOf<R, N, 'provide'>

/** Limits and steps of one method. */
export interface MethodOptions<A> {
  readonly auth?: AuthStep<A>
  /**
   * Longest input body after decompression, in bytes.
   * @defaultValue the router's `maxJsonBytes` or `maxBinaryBytes`
   */
  readonly maxInputBytes?: number
}

/** A query: what it needs and what it does. */
export interface QueryMethod<R, N extends string, A> extends MethodOptions<A> {
  readonly handler: (
    context: QueryContext<R, N, A>,
  ) => Awaitable<OutputOf<R, N, 'provide'> | XrpcReply>
}

/** A procedure: what it needs and what it does. */
export interface ProcedureMethod<R, N extends string, A> extends MethodOptions<A> {
  readonly handler: (
    context: ProcedureContext<R, N, A>,
  ) => Awaitable<OutputOf<R, N, 'provide'> | XrpcReply>
}

/** A subscription: an async iterable of messages or frames. Returning ends the stream. */
export interface SubscriptionMethod<R, N extends string, A> extends MethodOptions<A> {
  readonly handler: (context: SubscriptionContext<R, N, A>) => AsyncIterable<SubscriptionItem<R, N>>
}

/** The method shape that belongs to `N`. */
export type MethodFor<R, N extends string, A> =
  N extends MethodIds<R, 'query'>
    ? QueryMethod<R, N, A>
    : N extends MethodIds<R, 'procedure'>
      ? ProcedureMethod<R, N, A>
      : N extends MethodIds<R, 'subscription'>
        ? SubscriptionMethod<R, N, A>
        : never

/** Any NSID of `R` that can be served. */
export type AnyMethodId<R> = MethodIds<R, 'query' | 'procedure' | 'subscription'>

/** An answer with more than a JSON body: another encoding, status or headers. */
export class XrpcReply {
  readonly body: object | string | Uint8Array | AsyncIterable<Uint8Array> | undefined
  readonly encoding: string | undefined
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(body: XrpcReply['body'], options: ReplyOptions = {}) {
    this.body = body
    this.encoding = options.encoding
    this.status = options.status ?? 200
    this.headers = options.headers ?? {}
  }
}

/** Options of {@link reply}. */
export interface ReplyOptions {
  /** Content type. Needed for bytes; JSON is assumed for objects and text that is already JSON. */
  readonly encoding?: string
  readonly status?: number
  /** Extra headers, names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Answers with headers, bytes or a stream instead of a plain JSON value.
 *
 * A string body is sent as it is, so JSON that is already encoded stays encoded once.
 */
export function reply(body: XrpcReply['body'], options: ReplyOptions = {}): XrpcReply {
  return new XrpcReply(body, options)
}

/** A method bound to its NSID, its types checked where it was defined. `router.add` takes it. */
export interface XrpcMethod {
  readonly nsid: string
  readonly auth: AuthStep<unknown> | undefined
  readonly maxInputBytes: number | undefined
  readonly handler: (context: never) => unknown
}
