import type { Cid } from './cid.ts'
import type { Commit } from './commit.ts'
import type { EventEncoder, ListRecordsOptions, RepoHead, RepoStore, StoredRecord } from './repo-store.ts'
import type { Signer } from './signer.ts'
import type { TidClock } from './tid.ts'
import type { AppliedWrite, RepoWrite } from './writes.ts'

/** Makes the events of a commit that is about to be stored; they are appended in order, in the commit's own transaction. */
export type CommitEvents = (commit: Commit) => readonly EventEncoder[]

/** Options of {@link Repo.create} and {@link Repo.open}. */
export interface RepoOptions {
  readonly did: string
  readonly signer: Signer
  /** Where revs come from. @defaultValue a clock of this process */
  readonly clock?: TidClock
  /** Events of every commit this object makes, unless a call brings its own. @defaultValue none */
  readonly events?: CommitEvents
}

/** Options of one batch of writes. */
export interface ApplyWritesOptions {
  /** CID of the commit the repo must be at; then a concurrent writer means {@link InvalidSwapError} instead of a retry. */
  readonly swapCommit?: Cid | undefined
  /** Events of this commit. @defaultValue {@link RepoOptions.events} */
  readonly events?: CommitEvents
}

/** What a batch of writes did. */
export interface ApplyWritesResult {
  /** The commit; undefined when every record already had its content: then nothing was written and the rev did not move. */
  readonly commit: Commit | undefined
  /** One entry for each write, in the order given. */
  readonly writes: readonly AppliedWrite[]
}

/**
 * A writable repository in a {@link RepoStore}.
 *
 * Writes of one object are serialised. Several objects and processes may write the same repo: each commit compares and sets
 * the head, and a batch without `swapCommit` is recomputed when somebody else was faster.
 */
export declare class Repo {
  /** Creates an empty repo with its first commit. @throws {RepoExistsError} when the store has one. */
  static create(store: RepoStore, options: RepoOptions): Promise<{ readonly repo: Repo; readonly commit: Commit }>
  /** Opens an existing repo. @throws {RepoNotFoundError} when the store has none. */
  static open(store: RepoStore, options: RepoOptions): Promise<Repo>
  readonly did: string
  /** The current head as the store has it. */
  head(): Promise<RepoHead>
  /** Applies a batch as one commit, all or nothing. */
  applyWrites(writes: readonly RepoWrite[], options?: ApplyWritesOptions): Promise<ApplyWritesResult>
  /** Signs the same data again with a higher rev: after a key rotation, an import, an activation. */
  resign(options?: { readonly signer?: Signer; readonly events?: CommitEvents }): Promise<Commit>
  get(collection: string, rkey: string): Promise<StoredRecord | undefined>
  list(collection: string, options?: ListRecordsOptions): Promise<readonly StoredRecord[]>
  /** CAR with the commit and the nodes that prove the record's presence or absence, and the record when present: `sync.getRecord`. */
  proof(collection: string, rkey: string): Promise<Uint8Array>
  /** The repo as CAR chunks, in streamable order; with `since` what later commits wrote (all of it when `since` is unknown): `sync.getRepo`. */
  export(options?: { readonly since?: string; readonly signal?: AbortSignal }): AsyncGenerator<Uint8Array, void, void>
}
