import type { Cid, Commit, RepoOp } from '@skywright/repo'

/**
 * A `#commit` as the wire carries it: one new revision of one repository.
 *
 * Nothing in it is proven until a verifier accepted it. `blocks` is a CAR slice with the signed commit, the new
 * MST nodes, the new records and the nodes needed to undo the operations.
 *
 * @see {@link https://atproto.com/specs/sync#commit}
 */
export interface CommitEvent {
  readonly type: 'commit'
  /** Position in the stream it was read from; 0 for an event that has no place in a stream yet. */
  readonly seq: number
  /** The account (the wire calls this field `repo`). */
  readonly did: string
  /** CID of the signed commit block. */
  readonly commit: Cid
  readonly rev: string
  /** Revision this one follows, as the sender says; `null` for a first commit. */
  readonly since: string | null
  /** MST root of the revision before, as the sender says. Absent only from legacy senders. */
  readonly prevData?: Cid
  readonly ops: readonly RepoOp[]
  /** CAR bytes. A view into the frame when the event was decoded. */
  readonly blocks: Uint8Array
  /** Informal timestamp of the sender; never used for order or trust. */
  readonly time: string
}

/** A `#sync`: the current signed commit of a repository, without operations, after something broke the chain. */
export interface SyncEvent {
  readonly type: 'sync'
  readonly seq: number
  readonly did: string
  readonly rev: string
  /** CAR bytes holding the commit block only. */
  readonly blocks: Uint8Array
  readonly time: string
}

/** An `#identity`: the account's DID document or handle may have changed. The handle is a hint. */
export interface IdentityEvent {
  readonly type: 'identity'
  readonly seq: number
  readonly did: string
  readonly handle?: string
  readonly time: string
}

/** An `#account`: hosting status at the sender. `active` decides; `status` explains. */
export interface AccountEvent {
  readonly type: 'account'
  readonly seq: number
  readonly did: string
  readonly active: boolean
  /** `takendown`, `suspended`, `deleted`, `deactivated`, `desynchronized`, `throttled`, or a value of the future. */
  readonly status?: string
  readonly time: string
}

/** An `#info`: the stream talks about itself. It has no place in the sequence. */
export interface InfoEvent {
  readonly type: 'info'
  readonly name: string
  readonly message?: string
}

/** Events about one account, which carry a `seq`. */
export type RepoEvent = CommitEvent | SyncEvent | IdentityEvent | AccountEvent

/** Everything a `subscribeRepos` stream may say. */
export type WireEvent = RepoEvent | InfoEvent

/**
 * The `#commit` for a commit that `@skywright/repo` just made.
 *
 * @param time ISO timestamp to announce, usually the moment of the commit.
 */
export function commitEvent(commit: Commit, time: string): CommitEvent {
  return {
    type: 'commit',
    seq: 0,
    did: commit.did,
    commit: commit.cid,
    rev: commit.rev,
    since: commit.since,
    ...(commit.prevData === undefined ? {} : { prevData: commit.prevData }),
    ops: commit.ops,
    blocks: commit.blocks,
    time,
  }
}
