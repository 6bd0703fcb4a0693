import type { LexiconCatalog } from '@skywright/xrpc'

import type { Declarations } from './collection.ts'
import type { DeadLetterLimits } from './engine/dead-letter-limits.ts'
import type { EventSource, RepoFetcher, RepoSnapshot, SourcedEvent } from './event.ts'
import type { IndexReader } from './query/index-reader.ts'
import type { Shard } from './shard.ts'
import type { ListedRepo } from './sources/list-repos.ts'
import type { IndexStore } from './stores/port.ts'

/** What an indexer is made of. */
export interface IndexerOptions<D extends Declarations> {
  /** Where the index lives, e.g. `openSqliteIndexStore('./index.db')`. The indexer closes it. */
  readonly store: IndexStore
  /** Declared collections by short name; the name is the table name and the name in queries. */
  readonly collections: D
  /**
   * Lexicons, e.g. `atproto` of `@skywright/xrpc/lexicons` or a `createCatalog(…)` of one's own: records of declared
   * collections that the catalog knows must match, or become dead letters. When a lexicon has changed since the index was
   * last open, its dead letters are tried again; rows stay, since lexicons may only become wider. @defaultValue only `validate` decides
   */
  readonly lexicons?: Pick<LexiconCatalog, 'hasRecord' | 'validateRecord'> &
    Partial<Pick<LexiconCatalog, 'get'>>
  /**
   * Which part of the accounts this process indexes, when several share a Postgres index: events and repos of others are
   * passed over, and cursors are kept for each shard. @defaultValue all accounts
   */
  readonly shard?: Shard
  /** Unix milliseconds. @defaultValue Date.now */
  readonly now?: () => number
  /** Most events in one transaction. @defaultValue 1000; in Postgres 4000 */
  readonly maxBatchEvents?: number
  /** Fetches and verifies repos for backfill and repair; without one, gaps are recorded and stay. */
  readonly fetchRepo?: RepoFetcher
  /**
   * Lists the repos that may hold records, e.g. `({ signal }) => listRepos({ service, collection, signal })`. Called when a
   * source says that events were missed (at its very start, after an outage longer than it keeps events): what is listed
   * is fetched. Needs `fetchRepo`. @defaultValue the accounts indexed so far
   */
  readonly listRepos?: (options: {
    readonly signal: AbortSignal
    /** NSIDs of the declared collections. */
    readonly collections: readonly string[]
  }) => Iterable<string | ListedRepo> | AsyncIterable<string | ListedRepo>
  /**
   * Which accounts are remembered: those with something to index or to hide, or `all` that the source tells of. A server
   * that shows accounts as such wants all; an index of one small collection does not.
   * @defaultValue 'with-records'
   */
  readonly accounts?: 'with-records' | 'all'
  /** Looks a verified handle up, after identity events and for new accounts; `undefined` = could not tell. */
  readonly resolveHandle?: (
    did: string,
    options: { readonly signal: AbortSignal },
  ) => Promise<string | null | undefined>
  /**
   * How many refused records are kept with their bytes, of one account and of all; rebuilds keep what was stored before.
   * What goes beyond is counted and reported; which are kept then depends on what came first. @defaultValue 1,000 and 16 MiB an account, 100,000 and 1 GiB in total
   */
  readonly deadLetterLimits?: Partial<DeadLetterLimits>
  /** What happened, as values: nothing is logged. */
  readonly onIssue?: (issue: IndexIssue) => void
  /**
   * Compares random repos with their PDS while a source runs, and repairs what differs: `sample` of them every `intervalMs`
   * milliseconds. Needs `fetchRepo`. @defaultValue never
   */
  readonly reconcileEvery?: { readonly intervalMs: number; readonly sample?: number }
  /** Told after each fetched repo: for metrics, by host. Must not throw. */
  readonly onRepo?: (report: RepoReport) => void
  /** Told after each reconcile, scheduled or not: for metrics. Must not throw. */
  readonly onReconcile?: (result: ReconcileResult) => void
  /** Told after each committed batch of events: for metrics. Must not throw. */
  readonly onBatch?: (report: BatchReport) => void
  /** Waits between retries; tests hand in their own. @defaultValue a timer */
  readonly delay?: (delayMs: number, signal: AbortSignal) => Promise<void>
  /** Uniform in [0, 1), for sampling. @defaultValue Math.random */
  readonly random?: () => number
}

/** Figures of one committed batch. */
export interface BatchReport {
  /** The source, where the batch came from one. */
  readonly source: string | undefined
  /** The position stored with it. */
  readonly cursor: number | undefined
  readonly events: number
  readonly records: number
  /** Statements of labelers that are new or changed. */
  readonly labels: number
  readonly deadLetters: number
  /** How many of those were too many to keep. */
  readonly deadLettersDropped: number
  /** From the moment each new commit names as its own (its rev) to committed here, in milliseconds; clocks differ. */
  readonly commitAgesMs: readonly number[]
  /** From handing in to committed, waiting for other transactions included, in milliseconds. */
  readonly durationMs: number
}

/** One repo that was fetched, or not. */
export interface RepoReport {
  readonly did: string
  /** Where it was fetched from, where the fetcher says. */
  readonly host: string | undefined
  /**
   * `inactive`: the host says that the account is taken down, deactivated or deleted. `busy`: it is asked again when the
   * host had some rest.
   */
  readonly outcome: 'synchronized' | 'inactive' | 'busy' | 'failed'
  /** Records that were put or deleted. */
  readonly records: number
  readonly durationMs: number
}

/** Something an operator may want to know. Never fatal. */
export type IndexIssue =
  | {
      readonly kind: 'dead-letter'
      readonly did: string
      readonly collection: string
      readonly rkey: string
      readonly reason: string
      /** Whether it can be listed and tried again by itself; there is a bound, and of further ones the repo is. */
      readonly kept: boolean
    }
  | {
      readonly kind: 'rejected'
      readonly did: string
      readonly rev: string
      readonly reason: string
    }
  | {
      readonly kind: 'event-failed'
      readonly did: string
      readonly seq: number
      readonly error: unknown
    }
  /** Events were missed; the repos are listed and fetched by themselves, with `fetchRepo`. */
  | { readonly kind: 'missed'; readonly source: string; readonly reason: string }
  /** Listing the repos after that failed; it is tried again. */
  | {
      readonly kind: 'listing-failed'
      readonly source: string
      readonly error: unknown
      readonly attempt: number
    }
  | { readonly kind: 'drift'; readonly did: string; readonly records: number }
  /** A label that was not stored: it is about neither an account nor a record, or cannot be kept. */
  | {
      readonly kind: 'label-refused'
      readonly src: string
      readonly uri: string
      readonly val: string
      readonly reason: string
    }
  | { readonly kind: 'gap'; readonly did: string; readonly rev: string }
  | {
      readonly kind: 'repo-failed'
      readonly did: string
      readonly error: unknown
      readonly attempt: number
    }
  | { readonly kind: 'store-failed'; readonly error: unknown; readonly attempt: number }

/** What one applied batch did. */
export interface BatchResult {
  readonly events: number
  /** Events ignored because their rev was indexed already. */
  readonly stale: number
  /** Records put or deleted. */
  readonly records: number
  readonly deadLetters: number
  /** Repos found to have a gap; they are queued for a fetch. */
  readonly desynchronized: readonly string[]
}

/** How a backfill runs. */
export interface BackfillOptions {
  /**
   * Which repos, e.g. `listRepos({ service })`; queued durably before the first fetch, so a crash resumes. One
   * listed with its `rev` is skipped when it is indexed completely up to there: listing again costs little.
   */
  readonly repos: Iterable<string | ListedRepo> | AsyncIterable<string | ListedRepo>
  /** Fetches in flight. @defaultValue 8 */
  readonly concurrency?: number
  readonly signal?: AbortSignal
}

/** Which repos a reconcile compares. */
export interface ReconcileOptions {
  /** These repos, or `all` that are indexed. @defaultValue a random sample of `sample` synchronized ones */
  readonly repos?: 'all' | Iterable<string> | AsyncIterable<string>
  /** @defaultValue 20 */
  readonly sample?: number
  readonly signal?: AbortSignal
}

/** What a reconcile found. Everything found is repaired already. */
export interface ReconcileResult {
  readonly compared: number
  /** Repos whose indexed records differed from the repo at the very rev they were indexed to: this should not happen. */
  readonly drifted: readonly { readonly did: string; readonly records: number }[]
  /** Repos that were behind their PDS. Behind is normal for moments, not for days. */
  readonly behind: readonly string[]
  readonly failed: readonly string[]
}

/** A failed record, kept with its bytes. */
export interface DeadLetter {
  readonly uri: string
  readonly reason: string
  readonly bytes: Uint8Array
  /** Unix milliseconds. */
  readonly at: number
}

/** What trying dead letters again did. */
export interface RetryResult {
  readonly indexed: number
  readonly failed: number
  /** Repos that are fetched again, because not all of their refused records were kept. */
  readonly queued: number
}

/** A page for operators. */
export interface IndexerStatus {
  readonly cursors: readonly {
    readonly source: string
    readonly cursor: number
    readonly updatedAt: number
  }[]
  readonly repos: Readonly<
    Record<'live' | 'queued' | 'fetching' | 'synchronized' | 'failed', number>
  >
  readonly deadLetters: number
  /** Refused records beyond the bound, of repos that were not fetched since: counted, not kept. */
  readonly deadLettersDropped: number
  /** Sources that missed events at some time, a first start included, and whether the listing of repos is still to be done. */
  readonly missed: readonly { readonly source: string; readonly pending: boolean }[]
  /** Set while the database refuses the batch at hand: why, since when (Unix milliseconds), and how often it was tried. */
  readonly failing:
    { readonly reason: string; readonly since: number; readonly attempts: number } | undefined
  readonly batches: number
  readonly events: number
  readonly records: number
}

/**
 * Indexes events and answers queries.
 *
 * Guarantees: a batch (rows, links, counters, notifications, search, repo revs, dead letters and the
 * source cursor) is one transaction; the state is a function of the records, not of their arrival.
 */
export interface Indexer<D extends Declarations> extends IndexReader<D>, AsyncDisposable {
  /** Applies events as one transaction. Given a source, its cursor moves to the last event's seq in the same transaction. */
  apply(
    events: readonly SourcedEvent[],
    options?: { readonly source?: string },
  ): Promise<BatchResult>
  /** Applies one verified snapshot: rows that are not in it go. Live events newer than it stay. @throws {SnapshotRejectedError} when it is older than the index */
  applySnapshot(snapshot: RepoSnapshot): Promise<BatchResult>
  /** Consumes a source from its stored cursor until the signal aborts or the source ends; everything received is applied before it resolves. */
  run(source: EventSource, options?: { readonly signal?: AbortSignal }): Promise<void>
  /**
   * Queues repos and works the queue until nothing is due; runs beside `run`. Needs `fetchRepo`. Hosts that are busy are
   * waited for as long as that gets one repo after another; what they put off then counts as failed and stays queued.
   */
  backfill(
    options: BackfillOptions,
  ): Promise<{ readonly synchronized: number; readonly failed: number }>
  /**
   * Fetches repos again and compares them with the index record by record; run it on a schedule. Differences are
   * repaired and reported, also to `onIssue` as `drift`. Needs `fetchRepo`.
   */
  reconcile(options?: ReconcileOptions): Promise<ReconcileResult>
  /** The stored position of a source. */
  cursor(source: string): Promise<number | undefined>
  /** Order-independent digest of everything indexed (hex): equal for equal records, whatever the arrival order. Reads everything. */
  stateHash(): Promise<string>
  /** Compares every counter with a recount; empty when the books balance. Reads everything. */
  audit(): Promise<
    readonly {
      readonly subject: string
      readonly counter: string
      readonly stored: number
      readonly actual: number
    }[]
  >
  deadLetters(options?: {
    readonly limit?: number
    readonly after?: string
  }): Promise<readonly DeadLetter[]>
  /**
   * Derives everything of a collection again from the stored records, without the network, and puts it in the place of
   * what was there, in one transaction; rows that kept no record are derived from their columns, and with `fetchRepo`
   * their repos are fetched again too. A changed declaration does this by itself when the index opens. Batches wait
   * meanwhile; queries see the old state until the end. What a crash or a refusing database cuts off is finished when the
   * index opens next. Not for an index that several processes share.
   *
   * @throws {IndexerClosedError} when the indexer closed before it was done
   */
  rebuild(collection: keyof D & string): Promise<void>
  /** Resolves when accounts being hidden, shown or purged are completely so. */
  settle(): Promise<void>
  /**
   * Tries dead letters again, e.g. after a validator was fixed. Repos of which some were dropped are queued to be fetched,
   * with `fetchRepo`.
   */
  retryDeadLetters(): Promise<RetryResult>
  status(): Promise<IndexerStatus>
  /** Resolves after the next committed batch; used by live queries. */
  changed(options?: { readonly signal?: AbortSignal }): Promise<ReadonlySet<keyof D & string>>
}
