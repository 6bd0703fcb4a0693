/** Stable codes of every error this package throws; match on these, they survive two copies of the package. */
export type IndexerErrorCode =
  | 'InvalidDeclaration'
  | 'InvalidCursor'
  | 'InvalidQuery'
  | 'InvalidLabelers'
  | 'InvalidRecord'
  | 'SchemaMismatch'
  | 'HostBusy'
  | 'SnapshotRejected'
  | 'StoreFailure'
  | 'IndexerClosed'

/** Base of every error this package throws. */
export abstract class IndexerError extends Error {
  abstract readonly code: IndexerErrorCode
}

/** A collection declaration contradicts itself (unknown column, duplicate name, unsafe identifier …). */
export class InvalidDeclarationError extends IndexerError {
  override readonly name = 'InvalidDeclarationError'
  readonly code = 'InvalidDeclaration'
  readonly collection: string
  constructor(collection: string, reason: string, options?: ErrorOptions) {
    super(`invalid collection declaration; collection=${collection} reason=${reason}`, options)
    this.collection = collection
  }
}

/** A page cursor that this query did not issue: malformed, of another version, or of another order. Answer 400. */
export class InvalidCursorError extends IndexerError {
  override readonly name = 'InvalidCursorError'
  readonly code = 'InvalidCursor'
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid cursor; reason=${reason}`, options)
  }
}

/** A query names a column it may not, or a limit or value out of range. */
export class InvalidQueryError extends IndexerError {
  override readonly name = 'InvalidQueryError'
  readonly code = 'InvalidQuery'
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid query; reason=${reason}`, options)
  }
}

/** An `atproto-accept-labelers` header that cannot be read. Answer 400. */
export class InvalidLabelersError extends IndexerError {
  override readonly name = 'InvalidLabelersError'
  readonly code = 'InvalidLabelers'
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid labelers header; reason=${reason}`, options)
  }
}

/** A record cannot be indexed; the indexer turns it into a dead letter, it never stops the stream. */
export class InvalidRecordError extends IndexerError {
  override readonly name = 'InvalidRecordError'
  readonly code = 'InvalidRecord'
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
  }
}

/** The database was written by other declarations and a rebuild without the network is not possible. */
export class SchemaMismatchError extends IndexerError {
  override readonly name = 'SchemaMismatchError'
  readonly code = 'SchemaMismatch'
  readonly collection: string
  constructor(collection: string, reason: string, options?: ErrorOptions) {
    super(`stored schema differs; collection=${collection} reason=${reason}`, options)
    this.collection = collection
  }
}

/** A repo snapshot is older than what is indexed already, or belongs to another account. */
export class SnapshotRejectedError extends IndexerError {
  override readonly name = 'SnapshotRejectedError'
  readonly code = 'SnapshotRejected'
  readonly did: string
  constructor(did: string, reason: string, options?: ErrorOptions) {
    super(`repo snapshot rejected; did=${did} reason=${reason}`, options)
    this.did = did
  }
}

/** A host has enough to do, or asked to be left alone: its repo was not compared. */
export class HostBusyError extends IndexerError {
  override readonly name = 'HostBusyError'
  readonly code = 'HostBusy'
  readonly retryAfterMs: number
  constructor(host: string, retryAfterMs: number, options?: ErrorOptions) {
    super(`host is busy; host=${host} retryAfterMs=${retryAfterMs}`, options)
    this.retryAfterMs = retryAfterMs
  }
}

/** The database refused (disk full, gone, locked); nothing of the batch was applied. Retrying is safe. */
export class StoreFailureError extends IndexerError {
  override readonly name = 'StoreFailureError'
  readonly code = 'StoreFailure'
  readonly retryable: boolean
  constructor(reason: string, options?: ErrorOptions & { readonly retryable?: boolean }) {
    super(`index store failed; reason=${reason}`, options)
    this.retryable = options?.retryable ?? true
  }
}

/** The indexer was closed. */
export class IndexerClosedError extends IndexerError {
  override readonly name = 'IndexerClosedError'
  readonly code = 'IndexerClosed'
  constructor() {
    super('indexer closed')
  }
}
