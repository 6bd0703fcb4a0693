import { EventEmitter, once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import {
  firehoseSource,
  type Indexer,
  listRepos,
  type ListedRepo,
} from '@skywright/appview-indexer'
import type { FirehoseIssue } from '@skywright/firehose'
import { createOpenWebSocket } from '@skywright/firehose/ws'
import type { IdentityResolver } from '@skywright/identity'
import type { AppCollections } from './collections.ts'
import type { AppViewConfig } from './config.ts'

const RETRY_MS = 1_000
const MAX_RETRY_MS = 60_000
/** Rejections that say nothing about the event: the repository is fetched instead of it. */
const TRANSIENT_REJECTIONS = new Set(['unresolvable-identity', 'no-signing-key', 'internal'])

/** What the stream and the backfill are doing. */
export interface IngestStatus {
  readonly connected: boolean
  readonly backfill: 'off' | 'waiting' | 'running' | 'done' | 'failed'
  /** Of everything received and not indexed, how often, by kind. */
  readonly issues: Readonly<Record<string, number>>
}

export interface Ingest extends AsyncDisposable {
  status(): IngestStatus
  /** Events were missed for good: compares with every repository. Resolves when what differs is indexed. */
  compareAll(signal: AbortSignal): Promise<void>
}

export interface IngestOptions {
  readonly config: AppViewConfig
  readonly index: Indexer<AppCollections>
  readonly resolver: IdentityResolver
  readonly logger: Logger
}

/**
 * Keeps the index up to date: follows the relay from the stored cursor, and beside it fetches the accounts that the
 * index does not know. A first backfill lists only once the stream is connected, so that nothing falls in between.
 */
export function startIngest(options: IngestOptions): Ingest {
  const ingest = new RelayIngest(options)
  ingest.start()
  return ingest
}

class RelayIngest implements Ingest {
  readonly #options: IngestOptions
  readonly #stop = new AbortController()
  readonly #issues: Record<string, number> = {}
  readonly #opened = new AbortController()
  readonly #tasks = new Set<Promise<void>>()
  readonly #repairing = new Set<string>()
  #connected = false
  #backfill: IngestStatus['backfill']
  /** Nobody tells what happened since an earlier run: every repository is compared, not only unknown ones fetched. */
  #behind = false
  #listAgain = false
  /** Emits `done` whenever a backfill is through. */
  readonly #progress = new EventEmitter()

  constructor(options: IngestOptions) {
    this.#options = options
    this.#backfill = options.config.backfill ? 'waiting' : 'off'
  }

  start(): void {
    this.#run(() => this.#follow())
    if (this.#options.config.backfill)
      this.#run(async () => {
        await aborted(AbortSignal.any([this.#opened.signal, this.#stop.signal]))
        await this.#fill()
      })
  }

  status(): IngestStatus {
    return { connected: this.#connected, backfill: this.#backfill, issues: { ...this.#issues } }
  }

  async compareAll(signal: AbortSignal): Promise<void> {
    this.#lostTrack()
    while (this.#backfill !== 'done') await once(this.#progress, 'done', { signal })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#tasks)
  }

  /** Runs until done or stopped; a failure is logged and ends nothing else. */
  #run(work: () => Promise<void>): void {
    const task = work()
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#options.logger.error({ err: error }, 'ingest')
      })
      .finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
  }

  /** Follows the stream for ever: the subscription reconnects by itself, this goes on after what ends it. */
  async #follow(): Promise<void> {
    const { config, index, resolver, logger } = this.#options
    const { signal } = this.#stop
    const onOpen = (): void => {
      this.#connected = true
      this.#opened.abort()
    }
    const relay = firehoseSource({
      service: config.relay,
      resolver,
      allowHttp: config.dev,
      onIssue: (issue) => this.#onIssue(issue),
      open: createOpenWebSocket({ onOpen }),
    })
    while (!signal.aborted) {
      try {
        await index.run(relay, { signal })
      } catch (error) {
        if (signal.aborted) return
        logger.error({ err: error }, 'stream ended')
      }
      this.#connected = false
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Lists and fetches until it was done once without a failure. */
  async #fill(): Promise<void> {
    const { config, index, logger } = this.#options
    const { signal } = this.#stop
    if ((await index.cursor(config.relay)) === undefined) this.#behind = true
    for (let retryMs = RETRY_MS; ; retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)) {
      signal.throwIfAborted()
      this.#backfill = 'running'
      this.#listAgain = false
      try {
        const result = await index.backfill({ repos: this.#listed(), signal })
        logger.info(result, 'backfill')
        if (this.#listAgain) continue
        this.#backfill = 'done'
        this.#progress.emit('done')
        return
      } catch (error) {
        this.#backfill = 'failed'
        if (!signal.aborted) logger.error({ err: error }, 'backfill')
      }
      await delay(retryMs, undefined, { signal })
    }
  }

  async *#listed(): AsyncGenerator<ListedRepo, void, void> {
    const { config } = this.#options
    const { signal } = this.#stop
    for await (const repo of listRepos({ service: config.relay, signal }))
      // While the stream catches up, any revision of a known account will do.
      yield this.#behind ? repo : { did: repo.did, rev: '' }
  }

  #onIssue(issue: FirehoseIssue): void {
    const { logger } = this.#options
    const kind = issue.kind === 'rejected' ? `rejected:${issue.reason}` : issue.kind
    this.#issues[kind] = (this.#issues[kind] ?? 0) + 1
    logger.warn({ issue }, 'stream')
    if (issue.kind === 'reconnect') this.#connected = false
    if (issue.kind === 'rejected' && TRANSIENT_REJECTIONS.has(issue.reason)) this.#repair(issue.did)
  }

  /** Events were missed for good: only comparing with every repository tells what they were. */
  #lostTrack(): void {
    this.#behind = true
    // What is being listed may have been passed over already.
    if (this.#backfill === 'running') this.#listAgain = true
    else if (this.#backfill === 'done') this.#run(() => this.#fill())
  }

  /** An event could not be judged, so it was not indexed: the repository itself has what it said. */
  #repair(did: string): void {
    if (this.#repairing.has(did)) return
    this.#repairing.add(did)
    const { signal } = this.#stop
    this.#run(async () => {
      try {
        await this.#options.index.backfill({ repos: [did], signal })
      } finally {
        this.#repairing.delete(did)
      }
    })
  }
}

/** Resolves when the signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
