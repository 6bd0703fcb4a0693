import { auditCounters } from './audit.ts'
import { timerDelay } from './backoff.ts'
import type { Delay } from './backoff.ts'
import type { Declarations } from './collection.ts'
import { applyChanges } from './engine/apply-changes.ts'
import type { RecordFailure } from './engine/apply-changes.ts'
import { applyEvents } from './engine/apply-events.ts'
import type { EngineContext } from './engine/apply-events.ts'
import { rebuildStep } from './engine/rebuild.ts'
import { ask } from './engine/steps.ts'
import type { EventSource, IndexEvent, RepoSnapshot, SourcedEvent } from './event.ts'
import type {
  BackfillOptions,
  BatchResult,
  DeadLetter,
  Indexer,
  IndexerOptions,
  IndexerStatus,
  IndexIssue,
  ReconcileOptions,
  ReconcileResult,
} from './indexer.ts'
import { indexedRepos, isMissedMark, MissedEvents } from './missed-events.ts'
import { Reader } from './query/reader.ts'
import { reconcileRepos, sampleRepos } from './reconcile.ts'
import { applyRepoSnapshot, workRepos } from './repo-worker.ts'
import type { SnapshotOutcome } from './repo-worker.ts'
import { resolveDueHandles } from './resolve-handles.ts'
import { runSource } from './run-source.ts'
import { compileSchema } from './schema.ts'
import type { Schema } from './schema.ts'
import { SerialWriter } from './serial-writer.ts'
import { checkShard, isOfShard } from './shard.ts'
import type { Shard } from './shard.ts'
import { hashState } from './state-hash.ts'
import { REPO_FETCHING, REPO_QUEUED, REPO_SYNCHRONIZED } from './stores/transaction.ts'
import { formatRecordUri } from './target.ts'

/** No sharing. */
const WHOLE: Shard = { index: 0, count: 1 }
const DEFAULT_BATCH_EVENTS = 500
const DEFAULT_CONCURRENCY = 8
/** Repos of one reconcile. */
const DEFAULT_SAMPLE = 20
/** Repos queued in one transaction. */
const QUEUE_PART = 1_000

/**
 * Opens an indexer over a store: creates or checks the tables, resumes what a crash interrupted.
 *
 * @throws {InvalidDeclarationError} when a declaration contradicts itself
 * @throws {SchemaMismatchError} when the store was laid out by other declarations
 */
export async function openIndexer<const D extends Declarations>(
  options: IndexerOptions<D>,
): Promise<Indexer<D>> {
  const schema = compileSchema(withLexicons(options.collections, options.lexicons))
  const { shard = WHOLE } = options
  checkShard(shard)
  await options.store.prepare(schema, { canFetch: options.fetchRepo !== undefined, shard })
  const indexer = new DefaultIndexer(options, schema)
  await indexer.resume()
  // The reader checks every name at run time; the declared types are put back on here, once.
  return indexer as unknown as Indexer<D>
}

/** The declarations with records also checked against their lexicon, where there is one. */
function withLexicons(
  collections: Declarations,
  lexicons: IndexerOptions<Declarations>['lexicons'],
): Declarations {
  if (lexicons === undefined) return collections
  const checked = Object.entries(collections).map(([name, declaration]) => {
    const { nsid, validate } = declaration
    if (!lexicons.hasRecord(nsid)) return [name, declaration] as const
    const both: typeof validate = (record, rkey) => {
      lexicons.validateRecord(nsid, record, { legacyBlobs: true, lenient: true })
      return validate?.(record, rkey)
    }
    return [name, { ...declaration, validate: both }] as const
  })
  return Object.fromEntries(checked)
}

class DefaultIndexer extends Reader {
  readonly #options: IndexerOptions<Declarations>
  readonly #schema: Schema
  readonly #shard: Shard
  readonly #writer: SerialWriter
  readonly #now: () => number
  readonly #onIssue: (issue: IndexIssue) => void
  readonly #delay: Delay
  readonly #missed: MissedEvents
  readonly #running = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()
  readonly #totals = { batches: 0, events: 0, records: 0 }

  constructor(options: IndexerOptions<Declarations>, schema: Schema) {
    const context = (): EngineContext => this.#context()
    const writer = new SerialWriter(options.store, context)
    super(options.store, schema, (signal) => writer.changed(signal))
    this.#options = options
    this.#schema = schema
    this.#shard = options.shard ?? WHOLE
    this.#writer = writer
    this.#now = options.now ?? Date.now
    this.#onIssue = options.onIssue ?? ((): void => undefined)
    this.#delay = options.delay ?? timerDelay
    this.#missed = new MissedEvents({
      store: options.store,
      writer,
      canFetch: options.fetchRepo !== undefined,
      listRepos: options.listRepos ?? ((): AsyncIterable<string> => indexedRepos(options.store)),
      queue: (repos, signal) => this.#queueRepos(repos, signal),
      onIssue: this.#onIssue,
      delay: this.#delay,
    })
  }

  #context(): EngineContext {
    return {
      schema: this.#schema,
      now: this.#now(),
      canFetch: this.#options.fetchRepo !== undefined,
      canResolve: this.#options.resolveHandle !== undefined,
      allAccounts: this.#options.accounts === 'all',
    }
  }

  /** Repos whose fetch was cut off are queued again; sweeps continue where they were. */
  async resume(): Promise<void> {
    await this.#writer.transact(function* (tx) {
      yield* ask(tx.requeueFetching(REPO_FETCHING, REPO_QUEUED))
    })
    let rebuilt = false
    while (await this.#writer.transact((tx, context) => rebuildStep(context, tx))) rebuilt = true
    // What the old declaration could not take, the new one may.
    if (rebuilt) await this.retryDeadLetters()
    this.#writer.startSweeping()
  }

  async apply(
    events: readonly SourcedEvent[],
    options: { readonly source?: string } = {},
  ): Promise<BatchResult> {
    const { source } = options
    const last = events.findLast((event) => event.type !== 'missed')
    // An event that overtook others does not move the cursor past them.
    const seq = last !== undefined && 'cursor' in last ? last.cursor : last?.seq
    const indexed = events.filter(
      (event): event is IndexEvent =>
        event.type !== 'position' && event.type !== 'missed' && isOfShard(event.did, this.#shard),
    )
    const cursor =
      source === undefined || seq === undefined
        ? undefined
        : { source: this.#cursorName(last?.upstream ?? source), seq }
    const missed = events.filter((event) => event.type === 'missed')
    const marked =
      missed.length > 0 ? this.#missed.nameOf(this.#cursorName(source ?? '')) : undefined
    const started = this.#now()
    const outcome = await this.#writer.transact(function* (tx, context) {
      const applied = yield* applyEvents(context, tx, indexed, cursor)
      if (marked !== undefined) yield* ask(tx.setCursor(marked, 1, context.now))
      return applied
    })
    for (const { reason } of missed) {
      this.#missed.add()
      this.#onIssue({ kind: 'missed', source: source ?? '', reason })
    }
    if (missed.length > 0) this.#writer.announceWork()
    this.#totals.batches++
    this.#totals.events += indexed.length
    this.#totals.records += outcome.records
    this.#options.onBatch?.({
      source,
      cursor: seq,
      events: indexed.length,
      records: outcome.records,
      deadLetters: outcome.failures.length,
      durationMs: this.#now() - started,
    })
    for (const { did, rev } of outcome.desynchronized) this.#onIssue({ kind: 'gap', did, rev })
    for (const { did, rev } of outcome.rejected)
      this.#onIssue({ kind: 'rejected', did, rev, reason: 'implausible rev' })
    this.#reportFailures(outcome.failures)
    this.#writer.announce(outcome.touched)
    if (outcome.workWaiting) {
      this.#writer.startSweeping()
      this.#writer.announceWork()
    }
    return {
      events: indexed.length,
      stale: outcome.stale,
      records: outcome.records,
      deadLetters: outcome.failures.length,
      desynchronized: outcome.desynchronized.map(({ did }) => did),
    }
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
    const background = AbortSignal.any([signal, ended.signal])
    const work = Promise.all([
      this.#workRepos(background, false),
      this.#workHandles(background),
      this.#missed.work(source.name, this.#cursorName(source.name), background),
    ])
    try {
      await runSource({
        source,
        cursor: await this.cursor(source.name),
        cursorOf: (upstream) => this.cursor(upstream),
        maxBatchEvents: this.#options.maxBatchEvents ?? DEFAULT_BATCH_EVENTS,
        signal,
        apply: (events) => this.apply(events, { source: source.name }),
        onIssue: this.#onIssue,
        delay: this.#delay,
      })
    } finally {
      ended.abort()
      await work
    }
  }

  backfill(
    options: BackfillOptions,
  ): Promise<{ readonly synchronized: number; readonly failed: number }> {
    return this.#track(this.#backfill(options))
  }

  async #backfill(options: BackfillOptions): Promise<{ synchronized: number; failed: number }> {
    if (this.#options.fetchRepo === undefined) throw new TypeError('backfill needs fetchRepo')
    const signal = this.#signal(options.signal)
    await this.#queueRepos(options.repos, signal)
    const result = await this.#workRepos(signal, true, options.concurrency)
    signal.throwIfAborted()
    return result
  }

  /** Queues repos durably, in parts. */
  async #queueRepos(repos: BackfillOptions['repos'], signal: AbortSignal): Promise<void> {
    let part: { readonly did: string; readonly rev?: string }[] = []
    const queue = async (): Promise<void> => {
      const listed = new Map(part.map(({ did, rev }) => [did, rev]))
      const dids = [...listed.keys()]
      part = []
      await this.#writer.transact(function* (tx, { now }) {
        const actors = yield* ask(tx.actors(dids, true))
        const queued = actors.flatMap((actor) => (actor === undefined ? [] : [actor]))
        for (const actor of queued) {
          if (actor.sync === REPO_FETCHING || (!actor.active && actor.status === 'deleted'))
            continue
          const rev = listed.get(actor.did)
          const upToDate = rev !== undefined && actor.rev !== undefined && rev <= actor.rev
          if (upToDate && actor.sync === REPO_SYNCHRONIZED) continue
          actor.sync = REPO_QUEUED
          actor.dueAt = now
        }
        yield* ask(tx.putActors(queued))
      })
    }
    for await (const did of repos) {
      signal.throwIfAborted()
      const repo = typeof did === 'string' ? { did } : did
      if (!isOfShard(repo.did, this.#shard)) continue
      part.push(repo)
      if (part.length >= QUEUE_PART) await queue()
    }
    if (part.length > 0) await queue()
    this.#writer.announceWork()
  }

  reconcile(options: ReconcileOptions = {}): Promise<ReconcileResult> {
    return this.#track(this.#reconcile(options))
  }

  async #reconcile(options: ReconcileOptions): Promise<ReconcileResult> {
    const { fetchRepo, store, random = Math.random } = this.#options
    if (fetchRepo === undefined) throw new TypeError('reconcile needs fetchRepo')
    const repos =
      options.repos ?? (await sampleRepos(store, options.sample ?? DEFAULT_SAMPLE, random))
    return reconcileRepos({
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
      untilEmpty,
      delay: this.#delay,
    })
  }

  async #workHandles(signal: AbortSignal): Promise<void> {
    const { resolveHandle } = this.#options
    if (resolveHandle === undefined) return
    await resolveDueHandles({ writer: this.#writer, resolveHandle, signal, delay: this.#delay })
  }

  /** A shard that has no position yet starts where the one furthest behind of any other division is. */
  async cursor(source: string): Promise<number | undefined> {
    const { store } = this.#options
    const rows = await store.query('SELECT name, cursor FROM ix_source', [])
    const own = rows.find(({ name }) => name === this.#cursorName(source))
    if (own !== undefined) return Number(own['cursor'])
    // Its sisters' positions say nothing: they may have come further before this one ever began.
    const sisters = `/${this.#shard.count}`
    const others = rows.filter(({ name }) => {
      const text = String(name)
      return text === source || (text.startsWith(`${source}#`) && !text.endsWith(sisters))
    })
    if (others.length === 0) return undefined
    return Math.min(...others.map(({ cursor }) => Number(cursor)))
  }

  #cursorName(source: string): string {
    const { index, count } = this.#shard
    return count === 1 ? source : `${source}#${index}/${count}`
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

  async deadLetters(
    options: { readonly limit?: number; readonly after?: string } = {},
  ): Promise<readonly DeadLetter[]> {
    const { limit = 100, after } = options
    const rows = await this.#options.store.query(
      `SELECT d.repo, a.did, n.name, d.rkey, d.reason, d.bytes, d.at FROM ix_dead d
       JOIN ix_actor a ON a.id = d.repo JOIN ix_nsid n ON n.id = d.nsid
       WHERE a.did || '/' || n.name || '/' || d.rkey > ? ORDER BY a.did || '/' || n.name || '/' || d.rkey LIMIT ?`,
      [after === undefined ? '' : after.replace(/^at:\/\//, ''), limit],
    )
    return rows.map((row) => ({
      uri: formatRecordUri(String(row['did']), String(row['name']), String(row['rkey'])),
      reason: String(row['reason']),
      // The column is a BLOB.
      bytes: row['bytes'] as Uint8Array,
      at: Number(row['at']),
    }))
  }

  async retryDeadLetters(): Promise<{ readonly indexed: number; readonly failed: number }> {
    const result = { indexed: 0, failed: 0 }
    let after = { repo: 0, nsid: 0, rkey: '' }
    for (;;) {
      const rows = await this.#options.store.query(
        `SELECT d.repo, d.nsid, n.name, d.rkey, d.cid, d.bytes FROM ix_dead d JOIN ix_nsid n ON n.id = d.nsid
         WHERE (d.repo, d.nsid, d.rkey) > (?, ?, ?) ORDER BY d.repo, d.nsid, d.rkey LIMIT 500`,
        [after.repo, after.nsid, after.rkey],
      )
      const last = rows.at(-1)
      if (last === undefined) return result
      after = { repo: Number(last['repo']), nsid: Number(last['nsid']), rkey: String(last['rkey']) }
      const outcome = await this.#writer.transact(function* (tx, context) {
        const actors = yield* ask(
          tx.actorsById([...new Set(rows.map((row) => Number(row['repo'])))]),
        )
        const byId = new Map(actors.map((actor) => [actor.id, actor]))
        const changes = []
        for (const row of rows) {
          const collection = context.schema.byNsid.get(String(row['name']))
          const actor = byId.get(Number(row['repo']))
          const rkey = String(row['rkey'])
          if (collection === undefined || actor === undefined) continue
          const dead = yield* ask(tx.deadKeys(actor.id, Number(row['nsid'])))
          // A batch in between may have replaced or removed the record.
          if (!dead.some((key) => key.rkey === rkey)) continue
          const put = { cid: row['cid'] as Uint8Array, bytes: row['bytes'] as Uint8Array }
          changes.push({ actor, collection, rkey, put })
        }
        const applied = yield* applyChanges(context, tx, changes)
        return { ...applied, tried: changes.length }
      })
      result.failed += outcome.failures.length
      result.indexed += outcome.tried - outcome.failures.length
      this.#writer.announce(outcome.touched)
    }
  }

  async status(): Promise<IndexerStatus> {
    const { store } = this.#options
    const sources = await store.query(
      'SELECT name, cursor, "updatedAt" FROM ix_source ORDER BY name',
      [],
    )
    const repos = { live: 0, queued: 0, fetching: 0, synchronized: 0, failed: 0 }
    const names = ['live', 'queued', 'fetching', 'synchronized'] as const
    for (const row of await store.query(
      'SELECT sync, attempts > 0 AS failed, count(*) AS n FROM ix_actor WHERE rev IS NOT NULL OR sync <> 0 GROUP BY sync, attempts > 0',
      [],
    )) {
      const name = Number(row['failed']) === 1 ? 'failed' : (names[Number(row['sync'])] ?? 'live')
      repos[name] += Number(row['n'])
    }
    const dead = await store.query('SELECT count(*) AS n FROM ix_dead', [])
    return {
      cursors: sources
        .filter(({ name }) => !isMissedMark(String(name)))
        .map((row) => ({
          source: String(row['name']),
          cursor: Number(row['cursor']),
          updatedAt: Number(row['updatedAt']),
        })),
      repos,
      deadLetters: Number(dead[0]?.['n'] ?? 0),
      ...this.#totals,
    }
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
    for (const { did, collection, rkey, reason } of failures)
      this.#onIssue({ kind: 'dead-letter', did, collection, rkey, reason })
  }
}

async function* ownRepos(
  repos: Iterable<string> | AsyncIterable<string>,
  shard: Shard,
): AsyncGenerator<string, void, void> {
  for await (const did of repos) if (isOfShard(did, shard)) yield did
}
