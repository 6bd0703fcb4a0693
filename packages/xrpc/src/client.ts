import type { LexiconCatalog } from './catalog.ts'
import type { InputOf, MethodIds, OutputOf, ParamsOf } from './infer.ts'

/** Sends requests; the global `fetch` is one, a session another. */
export type FetchLike = (url: string, init: RequestInit) => Promise<Response>

/** Options of {@link createClient}. */
export interface ClientOptions<R> {
  /** Origin of the server: `https://pds.example.com`. */
  readonly service: string
  readonly lexicons: LexiconCatalog<R>
  /** @defaultValue the global `fetch` */
  readonly fetch?: FetchLike
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Options of one call. */
export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Options of one procedure call. */
export interface ProcedureCallOptions extends CallOptions {
  /** Query parameters, for the few procedures that take some. */
  readonly params?: Readonly<Record<string, unknown>>
  /** Content type of a binary body. */
  readonly encoding?: string
}

/** Calls XRPC methods, typed by the catalog. */
export interface Client<R> {
  readonly service: string
  query<const N extends MethodIds<R, 'query'>>(
    nsid: N,
    params?: ParamsOf<R, N, 'provide'>,
    options?: CallOptions,
  ): Promise<OutputOf<R, N>>
  procedure<const N extends MethodIds<R, 'procedure'>>(
    nsid: N,
    input?: InputOf<R, N, 'provide'>,
    options?: ProcedureCallOptions,
  ): Promise<OutputOf<R, N>>
}

/** Makes a client. */
export declare function createClient<R>(options: ClientOptions<R>): Client<R>
