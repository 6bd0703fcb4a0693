import { applyBatch } from './apply-batch.ts'
import type { BatchWork } from './apply-batch.ts'
import { auditCounters } from './audit.ts'
import { Background } from './background.ts'
import { timerDelay } from './backoff.ts'
import type { Delay } from './backoff.ts'
import { checkCount } from './check-options.ts'
import type { Declarations } from './collection.ts'
import { listDeadLetters, retryDeadLetters } from './dead-letters.ts'
import type { RecordFailure } from './engine/apply-changes.ts'
import type { EngineContext } from './engine/apply-events.ts'
import { DEAD_LETTER_LIMITS } from './engine/dead-letter-limits.ts'
import { JudgedAhead } from './engine/judged-ahead.ts'
import type { EventSource, RepoSnapshot, SourcedEvent } from './event.ts'
import type {
  BackfillOptions,
  BatchResult,
  DeadLetter,
  IndexerOptions,
  IndexerStatus,
  IndexIssue,
  ReconcileOptions,
  ReconcileResult,
  RetryResult,
} from './indexer.ts'
import { InvalidQueryError } from './errors.ts'
import { readStatus } from './index-status.ts'
import { indexedRepos, MissedEvents } from './missed-events.ts'
import { Reader } from './query/reader.ts'
import { queueRepos } from './queue-repos.ts'
import { rebuildCollection } from './rebuild-collection.ts'
import { reconcileRepos, sampleRepos } from './reconcile.ts'
import { applyRepoSnapshot, workRepos } from './repo-worker.ts'
import type { SnapshotOutcome } from './repo-worker.ts'
import { resolveDueHandles } from './resolve-handles.ts'
import { resumeIndex } from './resume-index.ts'
import { runSource } from './run-source.ts'
import type { Schema } from './schema.ts'
import { SerialWriter } from './serial-writer.ts'
import { isOfShard, WHOLE } from './shard.ts'
import type { Shard } from './shard.ts'
import { cursorName, readCursor } from './source-cursor.ts'
import { hashState } from './state-hash.ts'

const EMBEDDED_BATCH_EVENTS = 1_000
/** A server waits for the disk, and its client for the network, once a batch. */
const SERVER_BATCH_EVENTS = 4_000
const DEFAULT_CONCURRENCY = 8
/** Repos of one reconcile. */
const DEFAULT_SAMPLE = 20
/** How often sweeps that a failure cut off are taken up again, and rows looked for whose time is over. */
const MAINTENANCE_MS = 60_000

/** {@link Indexer} over any declarations; names are checked at run time. */
export class DefaultIndexer extends Reader {
  readonly #options: IndexerOptions<Declarations>
  readonly #schema: Schema
  readonly #shard: Shard
  readonly #writer: SerialWriter
  readonly #now: () => number
  readonly #onIssue: (issue: IndexIssue) => void
  readonly #delay: Delay
  readonly #missed: MissedEvents
  readonly #background: Background
  readonly #running = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()
  readonly #batches: BatchWork
  /** Where a server keeps the index, records that wait for it are judged meanwhile. */
  readonly #ahead: JudgedAhead | undefined
  readonly #defaultBatch: number
  readonly #totals = { batches: 0, events: 0, records: 0 }
  #failing: IndexerStatus['failing']

  constructor(options: IndexerOptions<Declarations>, schema: Schema) {
    const context = (): EngineContext => this.#context()
    const writer = new SerialWriter(options.store, context)
    super(options.store, schema, (signal) => writer.changed(signal), options.now ?? Date.now)
    this.#options = options
    this.#schema = schema
    this.#shard = options.shard ?? WHOLE
    this.#writer = writer
    this.#now = options.now ?? Date.now
    this.#onIssue = options.onIssue ?? ((): void => undefined)
    this.#delay = options.delay ?? timerDelay
    const isServer = options.store.dialect === 'postgres'
    this.#ahead = isServer ? new JudgedAhead(schema) : undefined
    this.#defaultBatch = isServer ? SERVER_BATCH_EVENTS : EMBEDDED_BATCH_EVENTS
    this.#missed = new MissedEvents({
      store: options.store,
      writer,
      canFetch: options.fetchRepo !== undefined,
      listRepos: (signal) => {
        const collections = schema.collections.map(({ nsid }) => nsid)
        return options.listRepos?.({ signal, collections }) ?? indexedRepos(options.store)
      },
      queue: (repos, signal) => queueRepos(writer, this.#shard, repos, signal),
      onIssue: this.#onIssue,
      delay: this.#delay,
    })
    this.#batches = {
      writer,
      shard: this.#shard,
      missed: this.#missed,
      now: this.#now,
      onIssue: this.#onIssue,
      onBatch: options.onBatch,
    }
    const tasks = [
      (signal: AbortSignal) => this.#workRepos(signal, false).then(() => undefined),
      (signal: AbortSignal) => this.#workHandles(signal),
      (signal: AbortSignal) => this.#maintain(signal),
      (signal: AbortSignal) => this.#reconcileOnSchedule(signal),
    ]
    this.#background = new Background(tasks, this.#onIssue, this.#delay)
  }

  #context(): EngineContext {
    return {
      schema: this.#schema,
      now: this.#now(),
      canFetch: this.#options.fetchRepo !== undefined,
      canResolve: this.#options.resolveHandle !== undefined,
      deadLetterLimits: { ...DEAD_LETTER_LIMITS, ...this.#options.deadLetterLimits },
      allAccounts: this.#options.accounts === 'all',
      ahead: this.#ahead,
    }
  }

  /** Goes on where the process before stopped. */
  resume(): Promise<void> {
    return resumeIndex(this.#options, this.#schema, this.#writer)
  }

  async rebuild(name: string): Promise<void> {
    const collection = this.#schema.byName.get(name)
    if (collection === undefined) throw new InvalidQueryError(`no collection ${name}`)
    if (this.#shard.count > 1) throw new RangeError('other processes write the index too')
    const refetch = this.#options.fetchRepo !== undefined
    const { signal } = this.#stop
    await rebuildCollection(collection, refetch, this.#writer, this.#background, signal)
    await retryDeadLetters(this.#options.store, this.#writer, collection.nsid)
    this.#writer.announce(new Set([name]))
    this.#writer.announceWork()
    this.#writer.startSweeping()
  }

  async apply(
    events: readonly SourcedEvent[],
    options: { readonly source?: string } = {},
  ): Promise<BatchResult> {
    const { result, failures } = await applyBatch(this.#batches, events, options.source)
    this.#totals.batches++
    this.#totals.events += result.events
    this.#totals.records += result.records
    this.#reportFailures(failures)
    return result
  }

  async applySnapshot(snapshot: RepoSnapshot): Promise<BatchResult> {
    if (!isOfShard(snapshot.did, this.#shard)) throw new TypeError('the repo is of another shard')
    const outcome = await applyRepoSnapshot(this.#writer, this.#schema, snapshot)
    this.#onSnapshot(outcome)
    return {
      events: 0,
      stale: 0,
      records: outcome.records,
      deadLetters: outcome.failures.length,
      desynchronized: [],
    }
  }

  run(source: EventSource, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#track(this.#run(source, this.#signal(options.signal)))
  }

  async #run(source: EventSource, signal: AbortSignal): Promise<void> {
    const ended = new AbortController()
    const besides = AbortSignal.any([signal, ended.signal])
    await this.#background.beside(async () => {
      const cursorName = this.#cursorName(source.name)
      const listing = this.#background.keep(
        (until) => this.#missed.work(source.name, cursorName, until),
        besides,
      )
      try {
        await runSource({
          source,
          cursor: await this.cursor(source.name),
          cursorOf: (upstream) => this.cursor(upstream),
          onRead: (event) => {
            if (event.type === 'commit' && isOfShard(event.did, this.#shard))
              this.#ahead?.judge(event, this.#now())
          },
          maxBatchEvents: this.#options.maxBatchEvents ?? this.#defaultBatch,
          signal,
          apply: async (events) => {
            const result = await this.apply(events, { source: source.name })
            this.#failing = undefined
            return result
          },
          onIssue: (issue) => {
            if (issue.kind === 'store-failed') this.#noteFailure(issue.error, issue.attempt)
            this.#onIssue(issue)
          },
          delay: this.#delay,
        })
      } finally {
        ended.abort()
        await listing
      }
    })
  }

  backfill(
    options: BackfillOptions,
  ): Promise<{ readonly synchronized: number; readonly failed: number }> {
    return this.#track(this.#backfill(options))
  }

  async #backfill(options: BackfillOptions): Promise<{ synchronized: number; failed: number }> {
    if (this.#options.fetchRepo === undefined) throw new TypeError('backfill needs fetchRepo')
    const { concurrency = DEFAULT_CONCURRENCY } = options
    checkCount('concurrency', concurrency)
    const signal = this.#signal(options.signal)
    await queueRepos(this.#writer, this.#shard, options.repos, signal)
    const result = await this.#workRepos(signal, true, concurrency)
    signal.throwIfAborted()
    return result
  }

  reconcile(options: ReconcileOptions = {}): Promise<ReconcileResult> {
    return this.#track(this.#reconcile(options))
  }

  async #reconcile(options: ReconcileOptions): Promise<ReconcileResult> {
    const { fetchRepo, store, random = Math.random } = this.#options
    if (fetchRepo === undefined) throw new TypeError('reconcile needs fetchRepo')
    const repos =
      options.repos === 'all'
        ? indexedRepos(store)
        : (options.repos ?? (await sampleRepos(store, options.sample ?? DEFAULT_SAMPLE, random)))
    const result = await reconcileRepos({
      repos: ownRepos(repos, this.#shard),
      store,
      writer: this.#writer,
      schema: this.#schema,
      fetchRepo,
      signal: this.#signal(options.signal),
      onIssue: this.#onIssue,
      onSnapshot: (outcome) => {
        this.#onSnapshot(outcome)
      },
    })
    this.#options.onReconcile?.(result)
    return result
  }

  async #workRepos(
    signal: AbortSignal,
    untilEmpty: boolean,
    concurrency: number = DEFAULT_CONCURRENCY,
  ): Promise<{ synchronized: number; failed: number }> {
    const { fetchRepo } = this.#options
    if (fetchRepo === undefined) return { synchronized: 0, failed: 0 }
    return workRepos({
      writer: this.#writer,
      context: () => this.#context(),
      fetchRepo,
      concurrency,
      signal,
      onIssue: this.#onIssue,
      onSnapshot: (outcome) => {
        this.#onSnapshot(outcome)
      },
      onRepo: this.#options.onRepo,
      untilEmpty,
      delay: this.#delay,
    })
  }

  async #workHandles(signal: AbortSignal): Promise<void> {
    const { resolveHandle } = this.#options
    if (resolveHandle === undefined) return
    await resolveDueHandles({ writer: this.#writer, resolveHandle, signal, delay: this.#delay })
  }

  async #maintain(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#writer.startSweeping()
      await timerDelay(MAINTENANCE_MS, signal).catch(() => undefined)
    }
  }

  async #reconcileOnSchedule(signal: AbortSignal): Promise<void> {
    const { reconcileEvery, fetchRepo } = this.#options
    if (reconcileEvery === undefined || fetchRepo === undefined) return
    const { intervalMs, ...options } = reconcileEvery
    for (;;) {
      await timerDelay(intervalMs, signal).catch(() => undefined)
      if (signal.aborted) return
      await this.#reconcile({ ...options, signal })
    }
  }

  cursor(source: string): Promise<number | undefined> {
    return readCursor(this.#options.store, source, this.#shard)
  }

  #cursorName(source: string): string {
    return cursorName(source, this.#shard)
  }

  async stateHash(): Promise<string> {
    await this.#writer.settle()
    return hashState(this.#options.store, this.#schema)
  }

  async audit(): ReturnType<typeof auditCounters> {
    await this.#writer.settle()
    return auditCounters(this.#options.store, this.#schema)
  }

  settle(): Promise<void> {
    return this.#writer.settle()
  }

  deadLetters(
    options: { readonly limit?: number; readonly after?: string } = {},
  ): Promise<readonly DeadLetter[]> {
    return listDeadLetters(this.#options.store, options)
  }

  retryDeadLetters(): Promise<RetryResult> {
    return retryDeadLetters(this.#options.store, this.#writer)
  }

  status(): Promise<IndexerStatus> {
    return readStatus(this.#options.store, { ...this.#totals, failing: this.#failing })
  }

  changed(options: { readonly signal?: AbortSignal } = {}): Promise<ReadonlySet<string>> {
    return this.#writer.changed(options.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.allSettled(this.#running)
    await this.#writer.close()
    await this.#options.store[Symbol.asyncDispose]()
  }

  #noteFailure(error: unknown, attempts: number): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.#failing = { reason, since: this.#failing?.since ?? this.#now(), attempts }
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal])
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    const forget = (): void => {
      this.#running.delete(work)
    }
    work.then(forget, forget)
    return work
  }

  #onSnapshot(outcome: SnapshotOutcome): void {
    this.#totals.records += outcome.records
    this.#reportFailures(outcome.failures)
    this.#writer.announceWork()
  }

  #reportFailures(failures: readonly RecordFailure[]): void {
    for (const failure of failures) this.#onIssue({ kind: 'dead-letter', ...failure })
  }
}

async function* ownRepos(
  repos: Iterable<string> | AsyncIterable<string>,
  shard: Shard,
): AsyncGenerator<string, void, void> {
  for await (const did of repos) if (isOfShard(did, shard)) yield did
}
