/** Stable, branchable names of every failure of this package. */
export type RepoErrorCode =
  | 'InvalidSyntax'
  | 'InvalidCid'
  | 'InvalidCbor'
  | 'InvalidData'
  | 'InvalidRecord'
  | 'InvalidCar'
  | 'InvalidMst'
  | 'InvalidCommit'
  | 'InvalidSignature'
  | 'InvalidOps'
  | 'InvalidProof'
  | 'ProofIncomplete'
  | 'CommitMismatch'
  | 'MissingBlock'
  | 'LimitExceeded'
  | 'InvalidWrite'
  | 'InvalidSwap'
  | 'RecordNotFound'
  | 'RecordExists'
  | 'RepoNotFound'
  | 'RepoExists'
  | 'HeadMoved'
  | 'StaleRev'

/** Longest piece of foreign text an error message repeats. */
const MAX_SHOWN = 128

function shown(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

/** Base of every error this package throws about input or state. Match on {@link RepoError.code}: it survives two copies of the package. */
export abstract class RepoError extends Error {
  abstract readonly code: RepoErrorCode
}

/** An identifier (DID, TID, repo path, NSID, record key) has the wrong syntax. */
export class InvalidSyntaxError extends RepoError {
  override readonly name = 'InvalidSyntaxError'
  readonly code = 'InvalidSyntax'
  readonly kind: string
  readonly value: string
  readonly reason: string
  constructor(kind: string, value: string, reason: string, options?: ErrorOptions) {
    super(`invalid ${kind}; reason=${reason} value=${shown(value)}`, options)
    this.kind = kind
    this.value = shown(value)
    this.reason = reason
  }
}

/** Text or bytes are not a CID the protocol allows. */
export class InvalidCidError extends RepoError {
  override readonly name = 'InvalidCidError'
  readonly code = 'InvalidCid'
  readonly reason: string
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid cid; reason=${reason}`, options)
    this.reason = reason
  }
}

/** Bytes are not the canonical CBOR the protocol allows, or a value cannot be written as such. */
export class InvalidCborError extends RepoError {
  override readonly name = 'InvalidCborError'
  readonly code = 'InvalidCbor'
  readonly reason: string
  /** Byte offset of the offending item in the input; -1 when a value was refused while encoding. */
  readonly offset: number
  constructor(reason: string, offset: number, options?: ErrorOptions) {
    super(
      offset < 0
        ? `invalid cbor; reason=${reason}`
        : `invalid cbor; reason=${reason} offset=${offset}`,
      options,
    )
    this.reason = reason
    this.offset = offset
  }
}

/** A JSON or data-model value breaks the data model (a link, bytes, blob or record of the wrong shape). */
export class InvalidDataError extends RepoError {
  override readonly name = 'InvalidDataError'
  readonly code = 'InvalidData'
  readonly reason: string
  /** Where in the value, as `/a/0/b`. */
  readonly path: string
  constructor(reason: string, path: string, options?: ErrorOptions) {
    super(`invalid data; reason=${reason} path=${shown(path)}`, options)
    this.reason = reason
    this.path = shown(path)
  }
}

/** The bytes of a record in a repo are not what the protocol allows. */
export class InvalidRecordError extends RepoError {
  override readonly name = 'InvalidRecordError'
  readonly code = 'InvalidRecord'
  /** Repo path of the record. */
  readonly path: string
  readonly reason: string
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`invalid record; reason=${reason} path=${shown(path)}`, options)
    this.path = shown(path)
    this.reason = reason
  }
}

/** Bytes are not a CAR the protocol allows. */
export class InvalidCarError extends RepoError {
  override readonly name = 'InvalidCarError'
  readonly code = 'InvalidCar'
  readonly reason: string
  /** Byte offset of the offending section in the CAR. */
  readonly offset: number
  constructor(reason: string, offset: number, options?: ErrorOptions) {
    super(`invalid car; reason=${reason} offset=${offset}`, options)
    this.reason = reason
    this.offset = offset
  }
}

/** A tree breaks a rule of the MST: the whole tree is invalid. */
export class InvalidMstError extends RepoError {
  override readonly name = 'InvalidMstError'
  readonly code = 'InvalidMst'
  readonly reason: string
  /** CID of the offending node as text, where one is known. */
  readonly cid: string | undefined
  constructor(reason: string, cid?: string, options?: ErrorOptions) {
    super(
      cid === undefined
        ? `invalid mst; reason=${reason}`
        : `invalid mst; reason=${reason} cid=${shown(cid)}`,
      options,
    )
    this.reason = reason
    this.cid = cid === undefined ? undefined : shown(cid)
  }
}

/** A commit object breaks the commit schema. */
export class InvalidCommitError extends RepoError {
  override readonly name = 'InvalidCommitError'
  readonly code = 'InvalidCommit'
  readonly reason: string
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid commit; reason=${reason}`, options)
    this.reason = reason
  }
}

/** The signature of a commit does not verify under the given key. */
export class InvalidSignatureError extends RepoError {
  override readonly name = 'InvalidSignatureError'
  readonly code = 'InvalidSignature'
  readonly did: string
  constructor(did: string, options?: ErrorOptions) {
    super(`signature does not verify; did=${shown(did)}`, options)
    this.did = shown(did)
  }
}

/** The operation list of a commit has an entry of the wrong shape, a duplicate path, or claims what the tree contradicts. */
export class InvalidOpsError extends RepoError {
  override readonly name = 'InvalidOpsError'
  readonly code = 'InvalidOps'
  readonly reason: string
  readonly path: string
  constructor(reason: string, path: string, options?: ErrorOptions) {
    super(`invalid op; reason=${reason} path=${shown(path)}`, options)
    this.reason = reason
    this.path = shown(path)
  }
}

/** A proof is complete and proves something else than claimed. */
export class InvalidProofError extends RepoError {
  override readonly name = 'InvalidProofError'
  readonly code = 'InvalidProof'
  readonly reason: string
  constructor(reason: string, options?: ErrorOptions) {
    super(`invalid proof; reason=${reason}`, options)
    this.reason = reason
  }
}

/** A block that the proof needs is not in the proof: nothing is proven either way. */
export class ProofIncompleteError extends RepoError {
  override readonly name = 'ProofIncompleteError'
  readonly code = 'ProofIncomplete'
  /** CID of the absent block as text. */
  readonly cid: string
  constructor(cid: string, options?: ErrorOptions) {
    super(`proof lacks a block; cid=${shown(cid)}`, options)
    this.cid = shown(cid)
  }
}

/** A commit differs from what was expected of it. */
export class CommitMismatchError extends RepoError {
  override readonly name = 'CommitMismatchError'
  readonly code = 'CommitMismatch'
  readonly field: 'did' | 'rev' | 'commit' | 'data' | 'prevData'
  readonly expected: string
  readonly actual: string
  constructor(
    field: 'did' | 'rev' | 'commit' | 'data' | 'prevData',
    expected: string,
    actual: string,
    options?: ErrorOptions,
  ) {
    super(
      `commit mismatch; field=${field} expected=${shown(expected)} actual=${shown(actual)}`,
      options,
    )
    this.field = field
    this.expected = shown(expected)
    this.actual = shown(actual)
  }
}

/** A block was asked for that the reader or store does not hold. */
export class MissingBlockError extends RepoError {
  override readonly name = 'MissingBlockError'
  readonly code = 'MissingBlock'
  /** CID of the block as text. */
  readonly cid: string
  constructor(cid: string, options?: ErrorOptions) {
    super(`block not found; cid=${shown(cid)}`, options)
    this.cid = shown(cid)
  }
}

/** Input or a write passes a bound of `limits.ts` or of an option. */
export class LimitExceededError extends RepoError {
  override readonly name = 'LimitExceededError'
  readonly code = 'LimitExceeded'
  readonly limit: string
  readonly max: number
  readonly actual: number
  constructor(limit: string, max: number, actual: number, options?: ErrorOptions) {
    super(`limit exceeded; limit=${limit} max=${max} actual=${actual}`, options)
    this.limit = limit
    this.max = max
    this.actual = actual
  }
}

/** A batch of writes is malformed (empty, two writes on one path, a record that is no object, `$type` of another collection). */
export class InvalidWriteError extends RepoError {
  override readonly name = 'InvalidWriteError'
  readonly code = 'InvalidWrite'
  readonly reason: string
  readonly path: string | undefined
  constructor(reason: string, path?: string, options?: ErrorOptions) {
    super(
      path === undefined
        ? `invalid write; reason=${reason}`
        : `invalid write; reason=${reason} path=${shown(path)}`,
      options,
    )
    this.reason = reason
    this.path = path === undefined ? undefined : shown(path)
  }
}

/** `swapCommit` or `swapRecord` is not what the repo holds: somebody else wrote in between. */
export class InvalidSwapError extends RepoError {
  override readonly name = 'InvalidSwapError'
  readonly code = 'InvalidSwap'
  /** `commit`, or the path of the record. */
  readonly subject: string
  readonly expected: string | null
  readonly actual: string | null
  constructor(
    subject: string,
    expected: string | null,
    actual: string | null,
    options?: ErrorOptions,
  ) {
    super(
      `swap refused; subject=${shown(subject)} expected=${shown(String(expected))} actual=${shown(String(actual))}`,
      options,
    )
    this.subject = shown(subject)
    this.expected = expected === null ? null : shown(expected)
    this.actual = actual === null ? null : shown(actual)
  }
}

/** An update or delete names a record that does not exist. */
export class RecordNotFoundError extends RepoError {
  override readonly name = 'RecordNotFoundError'
  readonly code = 'RecordNotFound'
  readonly path: string
  constructor(path: string, options?: ErrorOptions) {
    super(`record not found; path=${shown(path)}`, options)
    this.path = shown(path)
  }
}

/** A create names a record that already exists. */
export class RecordExistsError extends RepoError {
  override readonly name = 'RecordExistsError'
  readonly code = 'RecordExists'
  readonly path: string
  constructor(path: string, options?: ErrorOptions) {
    super(`record already exists; path=${shown(path)}`, options)
    this.path = shown(path)
  }
}

/** The store holds no repo of this DID. */
export class RepoNotFoundError extends RepoError {
  override readonly name = 'RepoNotFoundError'
  readonly code = 'RepoNotFound'
  readonly did: string
  constructor(did: string, options?: ErrorOptions) {
    super(`repo not found; did=${shown(did)}`, options)
    this.did = shown(did)
  }
}

/** The store already holds a repo of this DID. */
export class RepoExistsError extends RepoError {
  override readonly name = 'RepoExistsError'
  readonly code = 'RepoExists'
  readonly did: string
  constructor(did: string, options?: ErrorOptions) {
    super(`repo already exists; did=${shown(did)}`, options)
    this.did = shown(did)
  }
}

/** Another writer moved the head of the repo between reading it and committing: nothing was written. */
export class HeadMovedError extends RepoError {
  override readonly name = 'HeadMovedError'
  readonly code = 'HeadMoved'
  readonly did: string
  constructor(did: string, options?: ErrorOptions) {
    super(`head moved; did=${shown(did)}`, options)
    this.did = shown(did)
  }
}

/** A commit's `rev` is not above the last one known: an old state is being replayed. */
export class StaleRevError extends RepoError {
  override readonly name = 'StaleRevError'
  readonly code = 'StaleRev'
  readonly rev: string
  readonly known: string
  constructor(rev: string, known: string, options?: ErrorOptions) {
    super(`rev is not above the last one; rev=${shown(rev)} known=${shown(known)}`, options)
    this.rev = shown(rev)
    this.known = shown(known)
  }
}
