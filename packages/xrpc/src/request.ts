/** Reads headers by name, whatever the case; a Web `Headers` object is one. */
export interface HeaderReader {
  get(name: string): string | null
}

/**
 * An HTTP request as the router sees it. Adapters make one from what their runtime hands them, so that no
 * Web `Request` needs to exist on a hot path.
 */
export interface XrpcRequest {
  /** HTTP method, upper case. */
  readonly method: string
  /** Path and query as received: `/xrpc/com.example.method?a=1`. */
  readonly url: string
  readonly headers: HeaderReader
  /** Body chunks as received, still compressed if they are; readable once. `null` when there is no body. */
  readonly body: AsyncIterable<Uint8Array> | null
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal
  /** Address of the caller, as far as the adapter may trust it. */
  readonly ip: string | undefined
}

/** What the router answers; adapters write it out. */
export interface XrpcResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | AsyncIterable<Uint8Array> | undefined
}
