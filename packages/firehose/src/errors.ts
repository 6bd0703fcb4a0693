/** Stable names of every error this package throws; safe to compare across copies of the package. */
export type FirehoseErrorCode =
  | 'InvalidFrame'
  | 'UnknownFrame'
  | 'FutureCursor'
  | 'ConsumerTooSlow'
  | 'StreamError'
  | 'Disconnected'
  | 'LogClosed'
  | 'LogCorrupt'
  | 'VerifyFailed'
  | 'HostRefused'
  | 'RepoUnavailable'
  | 'FetchFailed'

/** Base of every error thrown by this package. */
export abstract class FirehoseError extends Error {
  abstract readonly code: FirehoseErrorCode
  /** Whether trying again can help. */
  abstract readonly retryable: boolean
}

/** Bytes that are no event-stream frame, or a frame whose body has not the shape of its type. */
export class InvalidFrameError extends FirehoseError {
  override readonly name = 'InvalidFrameError'
  readonly code = 'InvalidFrame'
  readonly retryable = false
  readonly reason: string
  /** `framing`: not two DAG-CBOR items, drop the connection. `body`: this one event is unusable. */
  readonly part: 'framing' | 'body'
  constructor(reason: string, options: ErrorOptions & { readonly part?: 'framing' | 'body' } = {}) {
    super(`invalid frame; reason=${reason}`, options)
    this.reason = reason
    this.part = options.part ?? 'framing'
  }
}

/** A well-formed frame of an `op` or type this package does not know: skip it. */
export class UnknownFrameError extends FirehoseError {
  override readonly name = 'UnknownFrameError'
  readonly code = 'UnknownFrame'
  readonly retryable = false
  readonly op: number
  readonly type: string | undefined
  constructor(op: number, type: string | undefined) {
    super(`unknown frame; op=${String(op)} type=${String(type)}`)
    this.op = op
    this.type = type
  }
}

/** The cursor lies beyond the newest event of the server: usually the server lost or reset its sequence. */
export class FutureCursorError extends FirehoseError {
  override readonly name = 'FutureCursorError'
  readonly code = 'FutureCursor'
  readonly retryable = false
  readonly cursor: number | undefined
  constructor(cursor: number | undefined, options?: ErrorOptions) {
    super(`cursor in the future; cursor=${String(cursor)}`, options)
    this.cursor = cursor
  }
}

/** The subscriber fell too far behind and was, or must be, cut off. It may reconnect from its cursor. */
export class ConsumerTooSlowError extends FirehoseError {
  override readonly name = 'ConsumerTooSlowError'
  readonly code = 'ConsumerTooSlow'
  readonly retryable = true
  constructor(message = 'consumer too slow', options?: ErrorOptions) {
    super(message, options)
  }
}

/** The server sent an error frame this package has no class for. */
export class StreamError extends FirehoseError {
  override readonly name = 'StreamError'
  readonly code = 'StreamError'
  readonly retryable = true
  /** Error name as the server sent it. */
  readonly error: string
  constructor(error: string, message?: string) {
    super(message === undefined ? `stream error; error=${error}` : `${message}; error=${error}`)
    this.error = error
  }
}

/** The connection could not be opened or was lost. */
export class DisconnectedError extends FirehoseError {
  override readonly name = 'DisconnectedError'
  readonly code = 'Disconnected'
  readonly retryable: boolean
  /** WebSocket close code, when there was a close frame. */
  readonly closeCode: number | undefined
  /** HTTP status, when the upgrade was refused. */
  readonly status: number | undefined
  /** The service sent a number below one it sent before: perhaps it began to count anew. */
  readonly wentBackwards: boolean
  /** XRPC error name of the refusal, where there was one. */
  readonly error: string | undefined
  constructor(
    message: string,
    options: ErrorOptions & {
      readonly wentBackwards?: boolean
      readonly closeCode?: number | undefined
      readonly status?: number | undefined
      readonly error?: string | undefined
      readonly retryable?: boolean
    } = {},
  ) {
    super(message, options)
    this.closeCode = options.closeCode
    this.status = options.status
    this.wentBackwards = options.wentBackwards ?? false
    this.error = options.error
    this.retryable = options.retryable ?? true
  }
}

/** The event log was closed while somebody waited on it. */
export class LogClosedError extends FirehoseError {
  override readonly name = 'LogClosedError'
  readonly code = 'LogClosed'
  readonly retryable = false
  constructor() {
    super('event log is closed')
  }
}

/** Stored events that cannot be read back. */
export class LogCorruptError extends FirehoseError {
  override readonly name = 'LogCorruptError'
  readonly code = 'LogCorrupt'
  readonly retryable = false
  constructor(reason: string, options?: ErrorOptions) {
    super(`event log is corrupt; reason=${reason}`, options)
  }
}

/** A host that may not be crawled. `error` is the XRPC error name to answer with. */
export class HostRefusedError extends FirehoseError {
  override readonly name = 'HostRefusedError'
  readonly code = 'HostRefused'
  readonly retryable = false
  readonly error: string
  readonly hostname: string
  constructor(error: string, hostname: string, reason: string, options?: ErrorOptions) {
    super(`host refused; error=${error} reason=${reason}`, options)
    this.error = error
    this.hostname = hostname
  }
}

/** The host answers that it will not give the repository: the account's status says why. Trying again does not help. */
export class RepoUnavailableError extends FirehoseError {
  override readonly name = 'RepoUnavailableError'
  readonly code = 'RepoUnavailable'
  readonly retryable = false
  readonly did: string
  /** `takendown`, `suspended`, `deactivated` or `deleted`. */
  readonly status: string
  constructor(did: string, status: string, options?: ErrorOptions) {
    super(`repo unavailable; did=${did} status=${status}`, options)
    this.did = did
    this.status = status
  }
}

/** A request to a host failed, or its answer is unusable. */
export class FetchFailedError extends FirehoseError {
  override readonly name = 'FetchFailedError'
  readonly code = 'FetchFailed'
  readonly retryable = true
  readonly host: string
  /** HTTP status, when there was an answer. */
  readonly status: number | undefined
  /** How long the host asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined
  constructor(
    host: string,
    reason: string,
    options: ErrorOptions & {
      readonly status?: number | undefined
      readonly retryAfterMs?: number | undefined
    } = {},
  ) {
    super(`request failed; host=${host} reason=${reason}`, options)
    this.host = host
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}
