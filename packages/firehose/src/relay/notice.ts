import type { RepoEvent } from '../event.ts'
import type { DiscontinuityReason, RejectReason, VerifiedCommit } from '../verify/outcome.ts'
import type { HostStatus } from './ports.ts'

/** Why a relay drops an event: what a verifier refuses, and what only a relay knows. */
export type RelayRejectReason =
  | RejectReason
  /** The frame is no event of a known type. */
  | 'invalid-frame'
  /** The host brings more accounts than it may. */
  | 'account-limit'
  /** This relay's operator took the account down. */
  | 'takendown'
  /** Valid, but the account broke its chain too often of late: each time makes every consumer fetch its repository. */
  | 'throttled'
  /** The host sent it before: it was handled already. */
  | 'duplicate'

/** What became of one event of one host. Every event received gets exactly one. */
export type EventNotice = {
  readonly kind: 'event'
  readonly hostname: string
  /** The host's own number. */
  readonly seq: number
  readonly did: string
  readonly rev: string | undefined
} & (
  | {
      readonly outcome: 'accepted'
      readonly event: RepoEvent
      /** What was proven; absent for events that prove nothing (`#identity`, `#account`). */
      readonly verified: VerifiedCommit | undefined
    }
  | {
      readonly outcome: 'discontinuous'
      readonly reason: DiscontinuityReason
      readonly event: RepoEvent
      readonly verified: VerifiedCommit
    }
  | {
      /** Passed on although not proven, because the host is not under `enforce`. Its signature is good. */
      readonly outcome: 'tolerated'
      readonly reason: RelayRejectReason
      readonly error: Error | undefined
    }
  | {
      readonly outcome: 'rejected'
      readonly reason: RelayRejectReason
      readonly error: Error | undefined
    }
)

/** Something happened to the connection with a host. */
export interface ConnectionNotice {
  readonly kind: 'connection'
  readonly hostname: string
  readonly reason:
    'connected' | 'lost' | 'future-cursor' | 'invalid-frame' | 'unknown-frame' | 'gap'
  /** Attempts in a row that failed; 0 when connected. */
  readonly attempt: number
  /** When the next attempt comes, if one is due. */
  readonly delayMs: number | undefined
  readonly error: unknown
}

/** The public state of a host changed. */
export interface StatusNotice {
  readonly kind: 'status'
  readonly hostname: string
  readonly before: HostStatus
  readonly status: HostStatus
}

/**
 * Something broke that should not. Without a hostname the relay cannot store events any more and takes none; with one,
 * only this host is not read for a while.
 */
export interface FailureNotice {
  readonly kind: 'failure'
  readonly hostname: string | undefined
  readonly error: unknown
}

/** Everything a relay has to tell its operator. */
export type RelayNotice = EventNotice | ConnectionNotice | StatusNotice | FailureNotice
