/** Base of everything this package throws on its own account. Match on `code`. */
export abstract class XrpcPackageError extends Error {
  /** Stable name of the kind of failure. */
  abstract readonly code: string
}

/** A WebSocket message that is not an event-stream v0 frame. The connection it came from is to be dropped. */
export class InvalidFrameError extends XrpcPackageError {
  override readonly name = 'InvalidFrameError'
  readonly code = 'InvalidFrame'
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid event-stream frame; reason=${reason}`, options)
  }
}
