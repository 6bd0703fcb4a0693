import type { Cid } from '@skywright/repo'

/** What is remembered of a repository between two of its events. */
export interface ChainState {
  readonly rev: string
  /** MST root, as CID text. */
  readonly data: string
  /** Signed commit, as CID text. */
  readonly commit: string
}

/** Why an event was refused. Each is counted under its name; an event never vanishes without one. */
export type RejectReason =
  | 'too-large'
  | 'too-many-ops'
  | 'invalid-did'
  | 'invalid-rev'
  | 'future-rev'
  | 'stale-rev'
  | 'invalid-op'
  | 'duplicate-path'
  | 'invalid-car'
  | 'invalid-commit'
  | 'commit-mismatch'
  | 'bad-signature'
  | 'no-signing-key'
  | 'unresolvable-identity'
  | 'wrong-host'
  | 'inactive-account'
  | 'missing-prev-data'
  | 'missing-record'
  | 'missing-proof'
  | 'invalid-mst'
  | 'op-mismatch'
  | 'inversion-mismatch'
  | 'internal'

/** Why a valid event does not continue what is known here. */
export type DiscontinuityReason =
  'unknown-repo' | 'since-mismatch' | 'prev-data-mismatch' | 'sync' | 'desynchronized'

/** A commit whose signature, structure and operations were proven. */
export interface VerifiedCommit {
  readonly did: string
  readonly rev: string
  readonly commit: Cid
  readonly data: Cid
  /** Op path → record bytes, for every create and update. Views into the frame. */
  readonly records: ReadonlyMap<string, Uint8Array>
  readonly state: ChainState
}

/**
 * The verdict on one event. Every event gets exactly one:
 * received = accepted + discontinuous(reason) + rejected(reason).
 */
export type Outcome =
  | { readonly status: 'accepted'; readonly verified: VerifiedCommit }
  | {
      readonly status: 'discontinuous'
      readonly reason: DiscontinuityReason
      readonly verified: VerifiedCommit
    }
  | { readonly status: 'rejected'; readonly reason: RejectReason; readonly error?: Error }
