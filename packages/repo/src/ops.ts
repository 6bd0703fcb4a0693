import type { Cid } from './cid.ts'

/**
 * One changed record of a commit, as `#commit.ops` carries it.
 *
 * `create`: `cid` set, no `prev`. `update`: both set. `delete`: `cid` is null, `prev` set.
 *
 * @see {@link https://atproto.com/specs/sync#repository-diffs}
 */
export interface RepoOp {
  readonly action: 'create' | 'update' | 'delete'
  /** Repo path, `collection/rkey`. */
  readonly path: string
  /** The record's new CID; null for a delete. */
  readonly cid: Cid | null
  /** The record's CID before the commit; absent for a create. */
  readonly prev?: Cid
}
