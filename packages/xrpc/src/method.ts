import type { CallContext } from './call-context.ts'
import type { XrpcError, XrpcErrorOptions } from './errors.ts'
import type { ErrorOf, InputOf, MessageOf, MethodIds, OutputOf, ParamsOf } from './infer.ts'
import type { RateLimit } from './rate-limit.ts'

type Awaitable<T> = T | Promise<T>

/** What an {@link AuthStep} sees: the call, and its parameters already checked. */
export interface AuthContext extends CallContext {
  readonly params: Readonly<Record<string, unknown>>
}

/**
 * Turns a request into credentials, or throws `AuthRequiredError` or `ForbiddenError`. Runs before the body is read,
 * so strangers cost no memory.
 */
export type AuthStep<A> = (call: AuthContext) => Awaitable<A>

/** What a handler gets. */
export interface MethodContext<R, N extends string, A> extends CallContext {
  /** Checked, with the lexicon's defaults filled in. */
  readonly params: ParamsOf<R, N>
  /** What the auth step returned; `undefined` without one. */
  readonly auth: A
  /**
   * JSON input as checked data-model values, defaults filled in; other input as a bounded stream of bytes; `undefined`
   * when the method takes no input.
   */
  readonly input: InputOf<R, N>
  /** Content type of the input without parameters; `undefined` when the method takes none. */
  readonly encoding: string | undefined
  /** Makes an error of the lexicon's names: `throw error('RecordNotFound', '…')`. Status 400 unless told. */
  readonly error: (
    name: ErrorOf<R, N> | 'InvalidRequest',
    message?: string,
    options?: XrpcErrorOptions & { readonly status?: number },
  ) => XrpcError
}

/** What a limit at a method sees. */
export interface LimitContext<A> extends AuthContext {
  readonly auth: A
}

/** A message to encode, with its `$type`, the fragment or the whole name; or an encoded frame to send as it is. */
export type SubscriptionItem<R, N extends string> = Uint8Array | MessageOf<R, N, 'provide'>

/** A method without output may return nothing at all. */
type NoOutput<R, N extends string> = undefined extends OutputOf<R, N, 'provide'> ? void : never

/**
 * What a handler returns. Queries and procedures: the output, or a {@link reply}. Subscriptions: an async iterable of
 * messages or frames; ending it ends the stream, throwing sends an error frame.
 */
export type MethodResult<R, N extends string> =
  N extends MethodIds<R, 'subscription'>
    ? AsyncIterable<SubscriptionItem<R, N>>
    : Awaitable<OutputOf<R, N, 'provide'> | XrpcReply | Response | NoOutput<R, N>>

/**
 * What serves a method. The result stands apart from the context, in a type that depends on `N` alone: only so does
 * TypeScript know it while it reads the handler, and checks the `$type` of what a generator yields.
 */
export type MethodHandler<R, N extends string, A> = ((context: MethodContext<R, N, A>) => unknown) &
  ResultFunction<R, N>

type ResultFunction<R, N extends string> = N extends string
  ? (context: never) => MethodResult<R, N>
  : never

/** A method: what it needs and what it does. */
export interface MethodOptions<R, N extends string, A> {
  /** Who may call, and as whom. Without it anybody may. */
  readonly auth?: AuthStep<A>
  /**
   * Longest input body after decompression, in bytes.
   * @defaultValue the router's `maxJsonBytes` or `maxBinaryBytes`
   */
  readonly maxInputBytes?: number
  /**
   * Limits on calls, checked after auth, so that they can count by account. The same limit at several methods is one
   * limit on all of them.
   */
  readonly limits?: readonly RateLimit<LimitContext<A>>[]
  readonly handler: MethodHandler<R, N, A>
}

/** Any NSID of `R` that can be served. */
export type AnyMethodId<R> = MethodIds<R, 'query' | 'procedure' | 'subscription'>

/** Body of a {@link XrpcReply}: an object for JSON, text or bytes as they are. */
export type ReplyBody = object | string | Uint8Array | AsyncIterable<Uint8Array> | undefined

/** Options of {@link reply}. */
export interface ReplyOptions {
  /**
   * Content type.
   * @defaultValue JSON for objects, else the lexicon's output encoding, else `application/octet-stream`
   */
  readonly encoding?: string
  /** @defaultValue 200 */
  readonly status?: number
  /** Extra headers, names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer with more than a JSON body: another encoding, status or headers. Made by {@link reply}. */
export class XrpcReply {
  readonly body: ReplyBody
  readonly encoding: string | undefined
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(body: ReplyBody, options: ReplyOptions = {}) {
    this.body = body
    this.encoding = options.encoding
    this.status = options.status ?? 200
    this.headers = options.headers ?? {}
  }
}

/**
 * Answers with headers, bytes or a stream instead of a plain JSON value.
 *
 * A string body is sent as it is, so JSON that is already encoded is not encoded again.
 */
export function reply(body: ReplyBody, options: ReplyOptions = {}): XrpcReply {
  return new XrpcReply(body, options)
}

/** What a handler gets, once the types have done their work. */
export interface AnyContext extends AuthContext {
  readonly auth: unknown
  readonly input: unknown
  readonly encoding: string | undefined
  readonly error: (
    name: string,
    message?: string,
    options?: XrpcErrorOptions & { readonly status?: number },
  ) => XrpcError
}

/** A method bound to its NSID, its types checked where it was defined. Made by `defineMethod`, taken by `router.add`. */
export interface XrpcMethod {
  readonly nsid: string
  readonly auth: AuthStep<unknown> | undefined
  readonly maxInputBytes: number | undefined
  readonly limits: readonly RateLimit<AnyContext>[] | undefined
  readonly handler: (context: AnyContext) => unknown
}
