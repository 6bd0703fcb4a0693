import type { Cid } from './cid.ts'
import type { RepoOp } from './ops.ts'

/** The fields of a signed commit object. @see {@link https://atproto.com/specs/repository#commit-objects} */
export interface CommitObject {
  readonly did: string
  readonly version: 3
  readonly data: Cid
  readonly rev: string
  readonly prev: Cid | null
  readonly sig: Uint8Array
}

/** One commit of a repo, with everything a `#commit` or `#sync` event needs. */
export interface Commit {
  readonly did: string
  readonly rev: string
  /** Rev of the commit before; null for the first commit of a repo. */
  readonly since: string | null
  /** CID of the signed commit object. */
  readonly cid: Cid
  /** CID of the MST root. */
  readonly data: Cid
  /** CID of the MST root before; absent for the first commit of a repo. */
  readonly prevData?: Cid
  /** Changed records, sorted by path. */
  readonly ops: readonly RepoOp[]
  /** CAR slice: the commit (root), new nodes, new records and the nodes needed to invert the ops. */
  readonly blocks: Uint8Array
  /** The signed commit object, encoded (what `#sync` carries as its only block). */
  readonly bytes: Uint8Array
  /** CIDs of blobs the created and updated records reference, each once. */
  readonly blobs: readonly Cid[]
}
