import type { Cid } from './cid.ts'
import type { CommitObject } from './commit.ts'
import type { RepoOp } from './ops.ts'
import type { Verifier } from './signer.ts'

/** A `#commit` to verify: the envelope's fields and the key of the account. */
export interface VerifyCommitInput {
  /** The event's `repo`. */
  readonly did: string
  readonly rev: string
  /** CID of the commit object, as the event names it. */
  readonly commit: Cid
  /** The CAR slice. */
  readonly blocks: Uint8Array
  readonly ops: readonly RepoOp[]
  readonly prevData?: Cid | null | undefined
  readonly since?: string | null | undefined
  readonly key: Verifier
}

/** A verified `#commit`. */
export interface VerifiedCommit {
  readonly did: string
  readonly rev: string
  /** CID of the MST root. */
  readonly data: Cid
  readonly commit: CommitObject
  /** Encoded records by path, for every create and update; views of the input. */
  readonly records: ReadonlyMap<string, Uint8Array>
}
