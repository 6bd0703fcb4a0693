import type { RowInput } from '../collection.ts'
import type { OldTable } from '../old-table.ts'
import type { CollectionSchema } from '../schema.ts'
import type { MaybePromise } from './maybe-promise.ts'

/** Where a repo stands. Stored as these numbers. */
export const REPO_LIVE = 0
export const REPO_QUEUED = 1
export const REPO_FETCHING = 2
export const REPO_SYNCHRONIZED = 3

/** Why a row does not count. A row counts ("is active") when its state is 0. Bits, combined. */
export const STATE_SHADOW = 1
export const STATE_HIDDEN = 2
export const STATE_GATED = 4

/** What a sweep over an account's rows does. */
export const SWEEP_NONE = 0
export const SWEEP_VISIBILITY = 1
export const SWEEP_PURGE = 2

/** An account inside a transaction. The engine changes it and hands it back to `putActors`. */
export interface ActorState {
  readonly id: number
  readonly did: string
  rev: string | undefined
  /** Binary CID of the MST root at that rev, where it is proven. */
  data: Uint8Array | undefined
  sync: number
  active: boolean
  status: string | undefined
  readonly handle: string | undefined
  /** When the handle should be looked up (again), Unix milliseconds; 0 when it need not be. */
  handleDue: number
  sweep: number
  /** Where the sweep continues: `collection position/rkey`; empty at the start. */
  sweepAt: string
  /** Dead letters of it that were dropped since its repo was last fetched. */
  deadDropped: number
  /** Events waiting in the parking table; -1 when there were too many and they were dropped. */
  parked: number
  /** Failed fetches in a row, and when to try next (Unix milliseconds). */
  attempts: number
  dueAt: number
}

/** A row as stored. Targets (`uri`, `did` columns) are ids. */
export interface StoredRow {
  readonly repo: number
  readonly rkey: string
  /** Document id; 0 for edges. */
  readonly id: number
  /** Binary CID; for edges its fingerprint. */
  readonly cid: Uint8Array
  readonly state: number
  readonly indexedAt: number
  readonly sortAt: number
  readonly values: readonly StoredValue[]
  /** Record bytes, where the collection keeps them. */
  readonly bytes: Uint8Array | undefined
}

/** A stored column value; null when absent. */
export type StoredValue = string | number | null

/** A row as an earlier declaration, or the present one, stored it. */
export interface OldRow {
  /** Where to go on after it. */
  readonly at: readonly (string | number)[]
  readonly repo: number
  readonly rkey: string
  readonly cid: Uint8Array
  readonly bytes: Uint8Array | undefined
  readonly indexedAt: number
  readonly sortAt: number
  /** Values of the present columns, null where the table had no such column. */
  readonly values: readonly StoredValue[]
}

/** A collection whose rows are being derived again. */
export interface RebuildTask {
  readonly collection: CollectionSchema
  /** The table its rows are in until then. */
  readonly from: OldTable
  /** Whether that table is of another declaration. */
  readonly changed: boolean
  readonly refetch: boolean
  readonly after: readonly (string | number)[]
}

/** A document whose new columns are to be read from its record. */
export interface UnfilledRow {
  readonly id: number
  readonly bytes: Uint8Array
}

/** Which row. */
export interface RowKey {
  readonly repo: number
  readonly rkey: string
}

/** Key and version of a stored row or dead letter. */
export interface StoredKey {
  readonly rkey: string
  readonly cid: Uint8Array
  readonly state: number
}

/** A link row. `path` is the stored path id times two, plus one when the row does not count. */
export interface LinkRow {
  readonly target: number
  readonly path: number
  readonly repo: number
  readonly rkey: string
}

/** A notification row. */
export interface NotificationRow {
  readonly recipient: number
  readonly sortAt: number
  readonly repo: number
  readonly space: number
  readonly rkey: string
  readonly reason: number
  readonly subject: number
}

/** A record that could not be indexed. */
export interface DeadLetterRow {
  readonly repo: number
  readonly space: number
  readonly rkey: string
  readonly cid: Uint8Array
  readonly reason: string
  readonly bytes: Uint8Array
  readonly at: number
}

/** How many dead letters, and the bytes of their records. */
export interface DeadTally {
  readonly letters: number
  readonly bytes: number
}

/** Which statement of a labeler: the newest one is kept. */
export interface LabelKey {
  readonly target: number
  /** Account id of the labeler. */
  readonly src: number
  readonly val: string
  /** Empty when it is about every version. */
  readonly cid: string
}

/** A label as stored. */
export interface LabelRow extends LabelKey {
  readonly neg: boolean
  /** Unix milliseconds. */
  readonly cts: number
  /** When it ends, Unix milliseconds. */
  readonly exp: number | undefined
  /** The label with its signature, as DAG-CBOR. */
  readonly bytes: Uint8Array
}

/** Everything one batch changes, deletes before puts. */
export interface ChangeSet {
  readonly rowDeletes: {
    readonly collection: CollectionSchema
    readonly key: RowKey
    readonly id: number
  }[]
  readonly rowPuts: { readonly collection: CollectionSchema; readonly row: StoredRow }[]
  readonly rowStates: {
    readonly collection: CollectionSchema
    readonly key: RowKey
    readonly id: number
    readonly state: number
  }[]
  readonly linkDeletes: LinkRow[]
  readonly linkPuts: LinkRow[]
  /** target → counter id → difference. */
  readonly counters: Map<number, Map<number, number>>
  readonly notificationDeletes: NotificationRow[]
  readonly notificationPuts: NotificationRow[]
  readonly searchDeletes: { readonly collection: CollectionSchema; readonly id: number }[]
  readonly searchPuts: {
    readonly collection: CollectionSchema
    readonly id: number
    readonly texts: readonly string[]
  }[]
  readonly deadDeletes: { readonly repo: number; readonly space: number; readonly rkey: string }[]
  readonly deadPuts: DeadLetterRow[]
  /** Rows that begin or cease to count, of collections that derive own tables; in order. */
  readonly derived: {
    readonly collection: CollectionSchema
    readonly sign: 1 | -1
    readonly row: RowInput
  }[]
  /** What changed that gates may have looked at, as dependency keys. */
  readonly gateTriggers: Set<string>
  /** Gated rows that are new or changed. */
  readonly gateDue: GatedKey[]
  /** Gated rows that are gone. */
  readonly gateForget: GatedKey[]
}

/** Which gated row. */
export interface GatedKey {
  readonly space: number
  readonly repo: number
  readonly rkey: string
}

/** What an interned name is of: `space` is where what is derived from a collection is kept. */
export type NameKind = 'nsid' | 'space' | 'reason' | 'counter'

/**
 * One open write transaction. Everything is bulk; results are in the order asked. Interning creates what
 * is missing. Nothing here has meaning of its own: the engine decides, the store keeps.
 */
export interface IndexTransaction {
  /** Accounts by DID; created when `create`, else undefined where unknown. */
  actors(
    dids: readonly string[],
    create: boolean,
  ): MaybePromise<readonly (ActorState | undefined)[]>
  actorsById(ids: readonly number[]): MaybePromise<readonly ActorState[]>
  /** Stores everything but the handle. */
  putActors(actors: readonly ActorState[]): MaybePromise<void>
  /** Stores a verified handle, taking it from whoever had it before. */
  setHandle(actor: ActorState, handle: string | undefined): MaybePromise<void>
  /**
   * The first accounts in a sync state that are due, or with a pending sweep, or with a due handle, or with dropped dead
   * letters and no fetch before them.
   */
  dueActors(
    what: 'fetch' | 'sweep' | 'handle' | 'dropped',
    now: number,
    limit: number,
  ): MaybePromise<readonly ActorState[]>
  /** Moves every account from one sync state to another, due at once: what a crash left half-done. */
  requeueFetching(from: number, to: number): MaybePromise<void>
  /** Interns at-uris (even ids) and DIDs (odd ids). */
  targets(refs: readonly string[]): MaybePromise<readonly number[]>
  /** The text of targets. */
  describeTargets(ids: readonly number[]): MaybePromise<readonly string[]>
  names(kind: NameKind, names: readonly string[]): MaybePromise<readonly number[]>
  /** Interns link paths of a space. */
  paths(space: number, paths: readonly string[]): MaybePromise<readonly number[]>
  rows(
    collection: CollectionSchema,
    keys: readonly RowKey[],
  ): MaybePromise<readonly (StoredRow | undefined)[]>
  /** Record keys that share unique values within a repo, lowest first, at most `limits[i]`. */
  candidates(
    collection: CollectionSchema,
    keys: readonly { readonly repo: number; readonly values: readonly StoredValue[] }[],
    limits: readonly number[],
  ): MaybePromise<readonly (readonly string[])[]>
  /** Keys of a repo's rows after a key, in key order. */
  repoKeys(
    collection: CollectionSchema,
    repo: number,
    after: string,
    limit: number,
  ): MaybePromise<readonly StoredKey[]>
  /** Dead letters of a repo in a collection, all of them. */
  deadKeys(repo: number, space: number): MaybePromise<readonly StoredKey[]>
  /** How many dead letters there are, of all accounts and of each of these. */
  countDead(
    repos: readonly number[],
  ): MaybePromise<{ readonly all: DeadTally; readonly accounts: readonly DeadTally[] }>
  write(changes: ChangeSet): MaybePromise<void>
  /** Rows of a collection with a `maxAgeMs` whose `sortAt` is before a time, oldest first. */
  expired(
    collection: CollectionSchema,
    before: number,
    limit: number,
  ): MaybePromise<readonly RowKey[]>
  /** Takes rows whose gate has to be asked again, at most `limit`. */
  takeDueGates(limit: number): MaybePromise<readonly GatedKey[]>
  /** Remembers what a gate looked at, instead of what it looked at before. */
  setGateDependencies(row: GatedKey, dependencies: readonly string[]): MaybePromise<void>
  /** Whether a repo has a link; `path` as in {@link LinkRow}. */
  hasLinks(
    links: readonly { readonly target: number; readonly path: number; readonly repo: number }[],
  ): MaybePromise<readonly boolean[]>
  /** Collections whose rows are being derived again, those without a gate first. Excludes other processes until the end. */
  rebuilds(): MaybePromise<readonly RebuildTask[]>
  /** Begins to derive the rows of a collection again; what was begun before is dropped. */
  beginRebuild(collection: CollectionSchema, refetch: boolean): MaybePromise<void>
  /** The rows of a table after a position (empty: from the start), in key order, at most `limit`. */
  rowsAfter(
    from: OldTable,
    collection: CollectionSchema,
    after: readonly (string | number)[],
    limit: number,
  ): MaybePromise<readonly OldRow[]>
  /** Stores how far a rebuild has come. */
  continueAfter(
    collection: CollectionSchema,
    after: readonly (string | number)[],
  ): MaybePromise<void>
  /** Puts what was derived in the place of what was there, whose remains are left to `dropRemains`. */
  swap(task: RebuildTask): MaybePromise<void>
  /** Removes what a swap replaced, looking at about `limit` rows; false when nothing is left. */
  dropRemains(limit: number): MaybePromise<boolean>
  /** Collections that got columns which their rows do not fill yet. */
  unfilled(): MaybePromise<readonly CollectionSchema[]>
  /** The next rows to fill, at most `limit`; empty at the end, when the new declaration is in force. */
  takeUnfilled(collection: CollectionSchema, limit: number): MaybePromise<readonly UnfilledRow[]>
  /** Stores the values of the plain columns of rows, in declared order. */
  fill(
    collection: CollectionSchema,
    rows: readonly { readonly id: number; readonly values: readonly StoredValue[] }[],
  ): MaybePromise<void>
  /** Keeps a text about the index itself, in `ix_meta`. */
  remember(key: string, value: string): MaybePromise<void>
  park(repo: number, event: Uint8Array): MaybePromise<void>
  /** Parked events of a repo, oldest first. */
  parked(repo: number): MaybePromise<readonly Uint8Array[]>
  unpark(repo: number): MaybePromise<void>
  setCursor(source: string, cursor: number, now: number): MaybePromise<void>
  /** The stored labels of these statements. */
  labels(keys: readonly LabelKey[]): MaybePromise<readonly (LabelRow | undefined)[]>
  putLabels(labels: readonly LabelRow[]): MaybePromise<void>
}
