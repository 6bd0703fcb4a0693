/** Every code an {@link IdentityError} can carry. Stable: match on it, it survives two copies of the package. */
export type IdentityErrorCode =
  | 'InvalidSyntax'
  | 'InvalidKey'
  | 'InvalidDidDocument'
  | 'InvalidPlcOperation'
  | 'InvalidPlcLog'
  | 'UnsupportedDidMethod'
  | 'DidNotFound'
  | 'DidDeactivated'
  | 'HandleNotFound'
  | 'HandleAmbiguous'
  | 'HandleMismatch'
  | 'ResolutionFailed'
  | 'ForbiddenAddress'
  | 'ResponseTooLarge'
  | 'PlcRequestFailed'

/**
 * Which of the three ways an identity lookup can fail: `NotFound` (a definite answer: it is not there),
 * `CouldNotAsk` (nothing learnt: network, timeout, 5xx, a directory that refuses or is hidden behind another page),
 * `Invalid` (an answer that breaks the rules).
 */
export type FailureFamily = 'NotFound' | 'CouldNotAsk' | 'Invalid'

/** Where in a lookup it failed. */
export type ResolutionStep =
  | 'syntax'
  | 'policy'
  | 'dns'
  | 'https'
  | 'doh'
  | 'plc'
  | 'did-web'
  | 'did-document'
  | 'handle-check'

/** Base of every error this package throws. */
export abstract class IdentityError extends Error {
  abstract readonly code: IdentityErrorCode
  abstract readonly family: FailureFamily
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean = false
}

/** Text that is not a DID, handle or other identifier. */
export class InvalidSyntaxError extends IdentityError {
  override readonly name = 'InvalidSyntaxError'
  readonly code = 'InvalidSyntax'
  readonly family = 'Invalid'
  readonly step: ResolutionStep = 'syntax'
  /** What the text should have been, such as `did` or `handle`. */
  readonly kind: string
  readonly value: string
  readonly reason: string
  constructor(kind: string, value: string, reason: string, options?: ErrorOptions) {
    super(`invalid ${kind}; value=${shorten(value)}; reason=${reason}`, options)
    this.kind = kind
    this.value = shorten(value)
    this.reason = reason
  }
}

/** A key that cannot be read: unknown codec, wrong length, point not on the curve, secret out of range. */
export class InvalidKeyError extends IdentityError {
  override readonly name = 'InvalidKeyError'
  readonly code = 'InvalidKey'
  readonly family = 'Invalid'
  readonly reason: string
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid key; reason=${reason}`, options)
    this.reason = reason
  }
}

/** A DID document that does not have the required shape, or speaks about another DID. */
export class InvalidDidDocumentError extends IdentityError {
  override readonly name = 'InvalidDidDocumentError'
  readonly code = 'InvalidDidDocument'
  readonly family = 'Invalid'
  readonly step: ResolutionStep = 'did-document'
  /** The DID whose document was asked for, when known. */
  readonly did: string | undefined
  readonly reason: string
  constructor(did: string | undefined, reason: string, options?: ErrorOptions) {
    super(`invalid DID document; did=${did ?? 'unknown'}; reason=${reason}`, options)
    this.did = did
    this.reason = reason
  }
}

/** A did:plc operation of the wrong shape, over a limit, or not signed as required. */
export class InvalidPlcOperationError extends IdentityError {
  override readonly name = 'InvalidPlcOperationError'
  readonly code = 'InvalidPlcOperation'
  readonly family = 'Invalid'
  readonly reason: string
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid PLC operation; reason=${reason}`, options)
    this.reason = reason
  }
}

/** A did:plc operation log that does not prove what it claims. */
export class InvalidPlcLogError extends IdentityError {
  override readonly name = 'InvalidPlcLogError'
  readonly code = 'InvalidPlcLog'
  readonly family = 'Invalid'
  readonly did: string
  /** Position in the log of the entry that failed. */
  readonly index: number
  readonly reason: string
  constructor(did: string, index: number, reason: string, options?: ErrorOptions) {
    super(`invalid PLC log; did=${did}; index=${index}; reason=${reason}`, options)
    this.did = did
    this.index = index
    this.reason = reason
  }
}

/** A syntactically valid DID of a method the AT Protocol does not use, or that this resolver was told not to use. */
export class UnsupportedDidMethodError extends IdentityError {
  override readonly name = 'UnsupportedDidMethodError'
  readonly code = 'UnsupportedDidMethod'
  readonly family = 'Invalid'
  readonly step: ResolutionStep = 'policy'
  readonly did: string
  constructor(did: string, options?: ErrorOptions) {
    super(`unsupported DID method; did=${shorten(did)}`, options)
    this.did = shorten(did)
  }
}

/** The registry or host answered that there is no such DID. */
export class DidNotFoundError extends IdentityError {
  override readonly name = 'DidNotFoundError'
  readonly code = 'DidNotFound'
  readonly family = 'NotFound'
  readonly did: string
  readonly step: ResolutionStep
  constructor(did: string, step: ResolutionStep, options?: ErrorOptions) {
    super(`DID not found; did=${did}; step=${step}`, options)
    this.did = did
    this.step = step
  }
}

/** The DID existed and was tombstoned (PLC answers 410). */
export class DidDeactivatedError extends IdentityError {
  override readonly name = 'DidDeactivatedError'
  readonly code = 'DidDeactivated'
  readonly family = 'NotFound'
  readonly did: string
  readonly step: ResolutionStep
  constructor(did: string, step: ResolutionStep, options?: ErrorOptions) {
    super(`DID deactivated; did=${did}`, options)
    this.did = did
    this.step = step
  }
}

/** Every way of asking answered that the handle names no DID. */
export class HandleNotFoundError extends IdentityError {
  override readonly name = 'HandleNotFoundError'
  readonly code = 'HandleNotFound'
  readonly family = 'NotFound'
  readonly handle: string
  readonly step: ResolutionStep
  constructor(handle: string, step: ResolutionStep, options?: ErrorOptions) {
    super(`handle not found; handle=${handle}; step=${step}`, options)
    this.handle = handle
    this.step = step
  }
}

/** DNS holds more than one `did=` value for the handle, which the specification calls a failure. */
export class HandleAmbiguousError extends IdentityError {
  override readonly name = 'HandleAmbiguousError'
  readonly code = 'HandleAmbiguous'
  readonly family = 'Invalid'
  readonly step: ResolutionStep
  readonly handle: string
  /** The first few values, cut off where they are long. */
  readonly dids: readonly string[]
  constructor(
    handle: string,
    dids: readonly string[],
    options: ErrorOptions & { readonly step?: 'dns' | 'doh' } = {},
  ) {
    const { step = 'dns', ...errorOptions } = options
    const shown = dids.slice(0, MAX_ECHO_VALUES).map(shorten)
    super(`handle is ambiguous; handle=${handle}; dids=${shown.join(',')}`, errorOptions)
    this.step = step
    this.handle = handle
    this.dids = shown
  }
}

/** The handle leads to a DID whose document does not claim that handle (or the reverse). */
export class HandleMismatchError extends IdentityError {
  override readonly name = 'HandleMismatchError'
  readonly code = 'HandleMismatch'
  readonly family = 'Invalid'
  readonly step: ResolutionStep = 'handle-check'
  readonly handle: string
  readonly did: string
  readonly reason: string
  constructor(handle: string, did: string, reason: string, options?: ErrorOptions) {
    super(`handle does not match; handle=${handle}; did=${did}; reason=${reason}`, options)
    this.handle = handle
    this.did = did
    this.reason = reason
  }
}

/** A step of resolution got no usable answer. `retryable` says whether asking again can help. */
export class ResolutionFailedError extends IdentityError {
  override readonly name = 'ResolutionFailedError'
  readonly code = 'ResolutionFailed'
  readonly family: FailureFamily
  readonly subject: string
  readonly step: ResolutionStep
  readonly reason: string
  override readonly retryable: boolean
  constructor(
    subject: string,
    step: ResolutionStep,
    reason: string,
    options: ErrorOptions & { readonly retryable: boolean; readonly family?: FailureFamily },
  ) {
    super(
      `resolution failed; subject=${shorten(subject)}; step=${step}; reason=${reason}`,
      'cause' in options ? { cause: options.cause } : undefined,
    )
    this.subject = shorten(subject)
    this.step = step
    this.reason = reason
    this.retryable = options.retryable
    this.family = options.family ?? (options.retryable ? 'CouldNotAsk' : 'Invalid')
  }
}

/** A URL somebody else chose leads to an address, port or scheme that must not be reached from here. */
export class ForbiddenAddressError extends IdentityError {
  override readonly name = 'ForbiddenAddressError'
  readonly code = 'ForbiddenAddress'
  readonly family = 'Invalid'
  readonly url: string
  readonly reason: string
  constructor(url: string, reason: string, options?: ErrorOptions) {
    super(`address refused; url=${shorten(url)}; reason=${reason}`, options)
    this.url = shorten(url)
    this.reason = reason
  }
}

/** A response was larger than the reader allows. */
export class ResponseTooLargeError extends IdentityError {
  override readonly name = 'ResponseTooLargeError'
  readonly code = 'ResponseTooLarge'
  readonly family = 'Invalid'
  readonly url: string
  readonly maxBytes: number
  constructor(url: string, maxBytes: number, options?: ErrorOptions) {
    super(`response too large; url=${shorten(url)}; maxBytes=${maxBytes}`, options)
    this.url = shorten(url)
    this.maxBytes = maxBytes
  }
}

/** The PLC directory refused a request or did not answer it. */
export class PlcRequestFailedError extends IdentityError {
  override readonly name = 'PlcRequestFailedError'
  readonly code = 'PlcRequestFailed'
  readonly family: FailureFamily
  /** HTTP status, or `undefined` when there was no answer. */
  readonly status: number | undefined
  readonly reason: string
  /** How long the directory asks to be left alone (`retry-after` of a 429 or 5xx), in milliseconds, at most a day. */
  readonly retryAfterMs: number | undefined
  override readonly retryable: boolean
  constructor(
    status: number | undefined,
    reason: string,
    options: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(
      `PLC request failed; status=${status ?? 'none'}; reason=${shorten(reason)}`,
      'cause' in options ? { cause: options.cause } : undefined,
    )
    this.status = status
    this.reason = shorten(reason)
    this.retryAfterMs = options.retryAfterMs
    this.retryable = status === undefined || status === 429 || status >= 500
    this.family = this.retryable ? 'CouldNotAsk' : 'Invalid'
  }
}

/** Longest piece of foreign text an error repeats. */
const MAX_ECHO_CHARS = 200
/** Most foreign values an error repeats. */
const MAX_ECHO_VALUES = 4

/** Takes anything: what is reported as malformed may not even be text. */
function shorten(value: unknown): string {
  const text = String(value)
  return text.length > MAX_ECHO_CHARS ? `${text.slice(0, MAX_ECHO_CHARS)}…` : text
}
