import type { XrpcRequest } from './request.ts'

/** What is known of every call. */
export interface CallContext {
  readonly nsid: string
  readonly request: XrpcRequest
  /** Aborts when the caller goes away or the server stops. */
  readonly signal: AbortSignal
}
