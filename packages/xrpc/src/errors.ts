/** Base of everything this package throws on its own account. Match on `code`. */
export abstract class XrpcPackageError extends Error {
  /** Stable name of the kind of failure. */
  abstract readonly code: string
}

/** Options of {@link XrpcError}. */
export interface XrpcErrorOptions extends ErrorOptions {
  /** Headers of the error response: sent by servers, filled in by the client. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * A failed XRPC call: thrown by handlers to fail it, thrown by the client when it failed.
 *
 * `error` is the name on the wire (`InvalidRequest`, or one that the lexicon declares) and `status` the HTTP
 * status. The message of an error with status 500 or above thrown by a handler is not sent to the caller.
 *
 * @see {@link https://atproto.com/specs/xrpc#error-responses}
 */
export class XrpcError extends XrpcPackageError {
  override readonly name: string = 'XrpcError'
  /** The same as `error`. */
  readonly code: string
  readonly status: number
  readonly error: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, error: string, message?: string, options: XrpcErrorOptions = {}) {
    super(message ?? error, options)
    this.status = status
    this.error = error
    this.code = error
    this.headers = options.headers ?? {}
  }

  /** Whether the same call may succeed later without change: 429, 502, 503 and 504. */
  get retryable(): boolean {
    return this.status === 429 || (this.status >= 502 && this.status <= 504)
  }
}

/** Options of the named subclasses: another error name than their usual one. */
export interface NamedXrpcErrorOptions extends XrpcErrorOptions {
  readonly error?: string
}

/** 400. The request is wrong and repeating it does not help. */
export class InvalidRequestError extends XrpcError {
  override readonly name: string = 'InvalidRequestError'
  constructor(message: string, options: NamedXrpcErrorOptions = {}) {
    super(400, options.error ?? 'InvalidRequest', message, options)
  }
}

/** 401. Credentials are missing or not good. Sent with `www-authenticate: Bearer` unless its headers say otherwise. */
export class AuthRequiredError extends XrpcError {
  override readonly name: string = 'AuthRequiredError'
  constructor(message: string, options: NamedXrpcErrorOptions = {}) {
    super(401, options.error ?? 'AuthenticationRequired', message, options)
  }
}

/** 403. Credentials are good and do not allow this. */
export class ForbiddenError extends XrpcError {
  override readonly name: string = 'ForbiddenError'
  constructor(message: string, options: NamedXrpcErrorOptions = {}) {
    super(403, options.error ?? 'Forbidden', message, options)
  }
}

/** 404. What the request names does not exist. */
export class NotFoundError extends XrpcError {
  override readonly name: string = 'NotFoundError'
  constructor(message: string, options: NamedXrpcErrorOptions = {}) {
    super(404, options.error ?? 'NotFound', message, options)
  }
}

/** 429. Too many requests; `retryAfterSeconds` says when to come back, if known. */
export class RateLimitedError extends XrpcError {
  override readonly name: string = 'RateLimitedError'
  readonly retryAfterSeconds: number | undefined
  constructor(
    message: string,
    options: NamedXrpcErrorOptions & { readonly retryAfterSeconds?: number } = {},
  ) {
    const { retryAfterSeconds, headers } = options
    super(429, options.error ?? 'RateLimitExceeded', message, {
      ...options,
      headers:
        retryAfterSeconds === undefined
          ? { ...headers }
          : { 'retry-after': String(Math.ceil(retryAfterSeconds)), ...headers },
    })
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** 502. Another service that this one asked failed or answered nonsense. */
export class UpstreamFailureError extends XrpcError {
  override readonly name: string = 'UpstreamFailureError'
  constructor(message: string, options: NamedXrpcErrorOptions = {}) {
    super(502, options.error ?? 'UpstreamFailure', message, options)
  }
}

/** The answer of a server does not match its lexicon, is too large, or is not what it claims to be. */
export class InvalidResponseError extends XrpcPackageError {
  override readonly name = 'InvalidResponseError'
  readonly code = 'InvalidResponse'
  readonly status: number
  constructor(nsid: string, status: number, reason: string, options?: ErrorOptions) {
    super(`invalid response; nsid=${nsid}, status=${status}, reason=${reason}`, options)
    this.status = status
  }
}

/** The server could not be reached, or the connection broke before the answer was complete. */
export class ConnectionError extends XrpcPackageError {
  override readonly name = 'ConnectionError'
  readonly code = 'ConnectionFailed'
  readonly retryable = true
  constructor(nsid: string, options?: ErrorOptions) {
    super(`connection failed; nsid=${nsid}`, options)
  }
}

/** A value does not match its lexicon. */
export class ValidationError extends XrpcPackageError {
  override readonly name = 'ValidationError'
  readonly code = 'InvalidValue'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
  }
}

/** JSON that has no place in the data model: floats, bad links or bytes, too deep. */
export class InvalidDataError extends XrpcPackageError {
  override readonly name = 'InvalidDataError'
  readonly code = 'InvalidData'
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`not a data-model value; path=${path === '' ? '/' : path}, reason=${reason}`, options)
  }
}

/** A lexicon document that is not one, or a definition that is not in the catalog. */
export class InvalidLexiconError extends XrpcPackageError {
  override readonly name = 'InvalidLexiconError'
  readonly code = 'InvalidLexicon'
  constructor(nsid: string, reason: string, options?: ErrorOptions) {
    super(`invalid lexicon; nsid=${nsid}, reason=${reason}`, options)
  }
}

/** A WebSocket message that is not an event-stream v0 frame. The connection it came from is to be dropped. */
export class InvalidFrameError extends XrpcPackageError {
  override readonly name = 'InvalidFrameError'
  readonly code = 'InvalidFrame'
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid event-stream frame; reason=${reason}`, options)
  }
}

/** A WebSocket stream that could not be opened, or ended otherwise than by the server closing it normally. */
export class StreamClosedError extends XrpcPackageError {
  override readonly name = 'StreamClosedError'
  readonly code = 'StreamClosed'
  /** Close code of the WebSocket, when there was one. */
  readonly closeCode: number | undefined
  /** HTTP status of a refused upgrade, where the platform tells. */
  readonly status: number | undefined
  constructor(
    reason: string,
    options: ErrorOptions & { readonly closeCode?: number; readonly status?: number } = {},
  ) {
    const { closeCode, status } = options
    super(`stream closed; reason=${reason}, closeCode=${closeCode ?? 'none'}`, options)
    this.closeCode = closeCode
    this.status = status
  }

  /** Whether connecting again may help: not after a refusal that is about the request itself. */
  get retryable(): boolean {
    const { status } = this
    return status === undefined || status === 429 || (status >= 500 && status !== 501)
  }
}
