import type { Cid } from '@skywright/repo'

/** One record operation of a {@link StreamCommit}, with the record itself. */
export interface StreamOp {
  readonly action: 'create' | 'update' | 'delete'
  readonly collection: string
  readonly rkey: string
  /** `collection/rkey`. */
  readonly path: string
  /** The new record, `null` for a delete. */
  readonly cid: Cid | null
  /** The record it replaced or removed, where the source says. */
  readonly prev?: Cid
  /** DAG-CBOR bytes of the new record; absent for a delete. Hash-checked against `cid` when `verified`. */
  readonly record?: Uint8Array
}

interface StreamBase {
  /** Position in the source (Tap has none: the number of its message); for events made by a resync or backfill, the position of the stream at that moment. */
  readonly seq: number
  readonly did: string
  /** Informal timestamp of the source. */
  readonly time: string
  /** Where it came from: the service URL. */
  readonly source: string
  /** `true` when signature, structure and MST inversion were checked here. */
  readonly verified: boolean
  /** `false` for events reconstructed by a resync or backfill. */
  readonly live: boolean
}

/** A revision of one repository; all its operations belong together. */
export interface StreamCommit extends StreamBase {
  readonly type: 'commit'
  readonly rev: string
  /** Revision this one follows, `null` for a first commit, absent where the source does not say (Jetstream, Tap). */
  readonly since?: string | null
  /** CID of the signed commit, where the source carries it. */
  readonly commit?: Cid
  /** MST root after this revision, when verified. */
  readonly data?: Cid
  readonly ops: readonly StreamOp[]
  /**
   * Set when the commit is valid but does not follow the state known here. The ops are then true of the new tree
   * but other changes may have been missed. Only delivered under the `relay` policy.
   */
  readonly discontinuity?: string
}

/**
 * The host said where the repository is. A rev that was handled already is confirmed and asks for nothing. A newer one,
 * where this is not verified with policy `consumer`, may stand for a state that the stream did not describe: what is
 * known of the repository may be out of date.
 */
export interface StreamSync extends StreamBase {
  readonly type: 'sync'
  readonly rev: string
  /** MST root at that rev, when verified. */
  readonly data?: Cid
}

export interface StreamIdentity extends StreamBase {
  readonly type: 'identity'
  /** A hint only: resolve to be sure. */
  readonly handle?: string
}

export interface StreamAccount extends StreamBase {
  readonly type: 'account'
  readonly active: boolean
  readonly status?: string
}

/** What consumers handle, whatever the source: firehose, Jetstream, Tap, resync or backfill. */
export type StreamEvent = StreamCommit | StreamSync | StreamIdentity | StreamAccount

/**
 * What a stream reports beside its events. Nothing here was delivered as an event; nothing is dropped without one.
 */
export type FirehoseIssue =
  | {
      readonly kind: 'gap'
      readonly source: string
      readonly from?: number
      readonly to?: number
      readonly message?: string
    }
  | {
      readonly kind: 'outdated-cursor'
      readonly source: string
      readonly cursor: number | undefined
      readonly message?: string
    }
  | {
      readonly kind: 'unknown-frame'
      readonly source: string
      readonly op?: number
      readonly type?: string
      readonly seq?: number
    }
  | {
      readonly kind: 'invalid-frame'
      readonly source: string
      readonly error: Error
      readonly seq?: number
    }
  | {
      readonly kind: 'rejected'
      readonly source: string
      readonly seq: number
      readonly did: string
      readonly reason: string
      readonly error?: Error
    }
  | {
      readonly kind: 'discontinuous'
      readonly source: string
      readonly seq: number
      readonly did: string
      readonly reason: string
    }
  | {
      readonly kind: 'handler-failed'
      readonly source: string
      readonly seq: number
      readonly did: string
      readonly error: unknown
      readonly attempt: number
    }
  | {
      readonly kind: 'resync-failed'
      readonly source: string
      readonly did: string
      readonly attempt: number
      readonly delayMs: number
      readonly error: unknown
    }
  | {
      readonly kind: 'reconnect'
      readonly source: string
      readonly attempt: number
      readonly delayMs: number
      readonly error?: unknown
    }
  | {
      readonly kind: 'info'
      readonly source: string
      readonly name: string
      readonly message?: string
    }
  | { readonly kind: 'stall'; readonly source: string; readonly silentMs: number }
  | { readonly kind: 'lag'; readonly source: string; readonly lagMs: number; readonly seq: number }
