/** One record operation inside a commit. `rkey` and `collection` come from the repo path. */
export interface IndexOp {
  readonly action: 'create' | 'update' | 'delete'
  readonly collection: string
  readonly rkey: string
  /** Binary CID of the record (create, update). */
  readonly cid?: Uint8Array
  /** DAG-CBOR bytes of the record (create, update). */
  readonly record?: Uint8Array
}

/** A verified commit. `since` undefined means the source cannot tell (Jetstream), null means the first commit of a repo. */
export interface IndexCommitEvent {
  readonly type: 'commit'
  readonly seq: number
  readonly did: string
  readonly rev: string
  readonly since?: string | null
  /** Binary CID of the MST root after it, where the source proves it. */
  readonly data?: Uint8Array
  /** Known not to follow what came before although `since` may fit: it is applied and the repo is fetched. */
  readonly gap?: boolean
  /** Some operations of the commit; others of the same rev come as events of their own (Jetstream). */
  readonly partial?: boolean
  readonly ops: readonly IndexOp[]
}

/**
 * The repo was declared to be at `rev` with no record content: what is indexed must be fetched again unless it is beyond
 * that rev, or at it with the same tree.
 */
export interface IndexSyncEvent {
  readonly type: 'sync'
  readonly seq: number
  readonly did: string
  readonly rev: string
  /** Binary CID of the MST root at that rev; without it a known rev counts as confirmed. */
  readonly data?: Uint8Array
}

/** The DID document or handle may have changed. `handle` is a *verified* handle, `null` when it was checked and is invalid, undefined when unchecked. */
export interface IndexIdentityEvent {
  readonly type: 'identity'
  readonly seq: number
  readonly did: string
  readonly handle?: string | null
}

/** Hosting status. `active` decides visibility; `status: 'deleted'` purges. */
export interface IndexAccountEvent {
  readonly type: 'account'
  readonly seq: number
  readonly did: string
  readonly active: boolean
  readonly status?: string
}

/** What the indexer consumes. Events of one DID must arrive in order; everything may be repeated. */
export type IndexEvent = IndexCommitEvent | IndexSyncEvent | IndexIdentityEvent | IndexAccountEvent

/** The source has delivered everything up to `seq`. For sources whose events may overtake each other. */
export interface IndexPositionEvent {
  readonly type: 'position'
  readonly seq: number
}

/**
 * The source knows that events were missed and not of which accounts: it reached back too little, lost its numbers, or
 * begins here. The indexer remembers it until the repos are listed again and queued.
 */
export interface IndexMissedEvent {
  readonly type: 'missed'
  /** `OutdatedCursor`, `FutureCursor`, `NoCursor` … */
  readonly reason: string
}

/** A statement of a labeler about an account or a record, as `com.atproto.label.defs#label` has it, with its signature. */
export interface IndexLabel {
  readonly ver: 1
  readonly src: string
  readonly uri: string
  readonly cid?: string
  readonly val: string
  readonly neg?: boolean
  readonly cts: string
  readonly exp?: string
  readonly sig: Uint8Array
}

/** Labels whose signatures were checked, in any order. They are of no repo, and every shard may store them. */
export interface IndexLabelsEvent {
  readonly type: 'labels'
  readonly seq: number
  readonly labels: readonly IndexLabel[]
}

/** One of several services a source may follow in turn, each with numbers of its own; absent for a source of one. */
interface FromUpstream {
  readonly upstream?: string | undefined
}

/**
 * What a source yields. An event with a `cursor` (even undefined) does not move the source's position to its own `seq`
 * but to that cursor: events of other accounts may still be on their way.
 */
export type SourcedEvent =
  | (IndexEvent & FromUpstream & { readonly cursor?: number | undefined })
  | (IndexLabelsEvent & FromUpstream)
  | (IndexPositionEvent & FromUpstream)
  | IndexMissedEvent

/**
 * A stream of events with a durable position.
 *
 * Contract: at-least-once, per-DID order, and `seq` non-decreasing or every event with a `cursor` of its own. After
 * `events({ cursor })` everything with `seq > cursor` that the upstream still holds arrives.
 */
export interface EventSource {
  /** Stable name of the upstream; the cursor is stored under it, so two relays never share one. */
  readonly name: string
  /** Starts or resumes; ends when the signal aborts or the upstream is finished. */
  events(options: {
    readonly cursor: number | undefined
    /** The stored position of one of several upstreams. */
    readonly cursorOf?: (upstream: string) => Promise<number | undefined>
    readonly signal: AbortSignal
  }): AsyncIterable<SourcedEvent>
}

/** One record of a whole-repo snapshot. */
export interface SnapshotRecord {
  readonly collection: string
  readonly rkey: string
  readonly cid: Uint8Array
  readonly record: Uint8Array
}

/** A verified copy of a whole repo at one rev; `records` holds every record of it, in any order. */
export interface RepoSnapshot {
  readonly did: string
  readonly rev: string
  /** Binary CID of the MST root. */
  readonly data?: Uint8Array
  readonly records: Iterable<SnapshotRecord> | AsyncIterable<SnapshotRecord>
}

/** What fetching a repo may find. `status` answers hide or purge the account instead of retrying for ever. */
export type RepoFetchResult =
  | {
      readonly kind: 'snapshot'
      readonly snapshot: RepoSnapshot
      /** Where it came from, for figures by host. */
      readonly host?: string
    }
  | {
      readonly kind: 'status'
      readonly active: boolean
      readonly status: string
      readonly host?: string
    }
  | {
      /** Its host has enough to do now: the repo is fetched when others had their turn, and this was no attempt. */
      readonly kind: 'busy'
      readonly retryAfterMs: number
      readonly host?: string
    }

/**
 * Fetches and verifies one repo. Throwing means "try again later"; `attempt` counts from 1, and what is cached of the
 * account's identity should not be believed again from the second on.
 */
export type RepoFetcher = (
  did: string,
  options: { readonly signal: AbortSignal; readonly attempt?: number },
) => Promise<RepoFetchResult>
