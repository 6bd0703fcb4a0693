import { backoffMs } from '../backoff.ts'
import { FetchFailedError, RepoUnavailableError } from '../errors.ts'
import type { CommitEvent, SyncEvent } from '../event.ts'
import type { FirehoseIssue, StreamAccount, StreamCommit } from '../stream-event.ts'
import type { Clock } from '../timer.ts'
import type { IdentitySource } from '../verify/identity.ts'
import type { EventVerifier } from '../verify/verifier.ts'
import { diffRepo } from './diff-repo.ts'
import { fetchRepo, type FetchRepoOptions } from './fetch-repo.ts'
import { HostSlots } from './host-slots.ts'
import { untilAborted } from '../until-aborted.ts'
import type { ListedPage } from './list-repos.ts'
import type { SyncStore } from './sync-store.ts'

/** How repositories that are out of date are fetched again. */
export interface ResyncOptions {
  /** Finds keys and hosts. */
  readonly identity: IdentitySource
  /** Remembers what is to be fetched. */
  readonly store: SyncStore
  /**
   * What the consumer holds of a repository now: path → CID text. Of this and the fetched copy the operations are made,
   * deletes included. Only wanted collections matter.
   */
  readonly known: (
    did: string,
  ) => ReadonlyMap<string, string> | Promise<ReadonlyMap<string, string>>
  /** @see {@link FetchRepoOptions.fetch} */
  readonly fetch?: FetchRepoOptions['fetch']
  /** @see {@link FetchRepoOptions.upstream} @defaultValue the service being followed */
  readonly upstream?: string | undefined
  /** @see {@link FetchRepoOptions.maxBytes} */
  readonly maxRepoBytes?: number | undefined
  /** Repositories to fetch unless their state is known already, such as {@link listRepos} gives them. */
  readonly backfill?: AsyncIterable<ListedPage> | undefined
  /** Fetches under way at the same time. @defaultValue 8 */
  readonly concurrency?: number | undefined
  /** Fetches under way at one host at the same time. @defaultValue 2 */
  readonly perHost?: number | undefined
  /** Live events held for a repository being fetched; beyond, they are dropped and it is fetched once more. @defaultValue 1 000 */
  readonly maxParkedEvents?: number | undefined
  /** Bytes of live events held for all repositories being fetched. @defaultValue 64 MiB */
  readonly maxParkedBytes?: number | undefined
}

export interface SynchronizerOptions extends ResyncOptions {
  readonly verifier: EventVerifier
  readonly source: string
  readonly collections: readonly string[] | undefined
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onIssue: (issue: FirehoseIssue) => void
  /** The stream's position, for events that have none of their own. */
  readonly position: () => number
  /** Delivers an event and resolves when it is handled. */
  readonly deliver: (event: StreamCommit | StreamAccount) => Promise<void>
  /** Judges and delivers a live event that was parked; `false` when it does not follow. */
  readonly replay: (event: CommitEvent | SyncEvent) => Promise<boolean>
  readonly onFailure: (error: unknown) => void
}

/** Delays between attempts to fetch one repository: from a minute to an hour. */
const RETRY = { baseMs: 60_000, maxMs: 3_600_000 }

/** Repositories held in memory while they wait; the rest stays in the store or in the listing. */
const MAX_IN_LINE = 10_000

interface Job {
  readonly did: string
  /** Live events that came meanwhile, in order. */
  parked: { readonly event: CommitEvent | SyncEvent; readonly bytes: number }[]
  /** Some had to be dropped: what is fetched now will be out of date at once. */
  overflowed: boolean
}

/**
 * Brings repositories up to date: fetches them, tells the consumer what changed, and then lets the live events that
 * came meanwhile follow. Each repository is fetched once at a time, however often that was asked for.
 */
export class Synchronizer {
  private readonly options: SynchronizerOptions
  private readonly slots: HostSlots
  private readonly jobs = new Map<string, Job>()
  private readonly line: Job[] = []
  private readonly sleeping = new Set<Promise<void>>()
  private running = 0
  private parkedBytes = 0
  private idlers: (() => void)[] = []

  constructor(options: SynchronizerOptions) {
    this.options = options
    this.slots = new HostSlots(options.perHost ?? 2, options.clock)
  }

  /** Repositories being fetched or waiting for it. */
  get size(): number {
    return this.jobs.size
  }

  /** Takes up what an earlier run left to do, and then what is listed; no faster than it gets done. */
  async fill(): Promise<void> {
    const { store, backfill, verifier, signal } = this.options
    for await (const did of store.pending()) {
      if (signal.aborted) return
      this.enqueue(did)
      await this.room()
    }
    if (backfill === undefined) return
    for await (const { dids } of untilAborted(backfill, signal)) {
      const unknown: string[] = []
      for (const did of dids) if ((await verifier.state(did)) === undefined) unknown.push(did)
      await store.mark(unknown)
      for (const did of unknown) this.enqueue(did)
      await this.room()
    }
  }

  /** A live event that does not follow: its repository is fetched, and the event waits for that. */
  async request(event: CommitEvent | SyncEvent, bytes: number): Promise<void> {
    await this.options.store.mark([event.did])
    this.enqueue(event.did, { event, bytes })
  }

  /**
   * Holds a live event back when its repository is being fetched.
   *
   * @returns `false` when it is not being fetched: the event is to be handled now.
   */
  park(event: CommitEvent | SyncEvent, bytes: number): boolean {
    const job = this.jobs.get(event.did)
    if (job === undefined) return false
    const { maxParkedEvents = 1_000, maxParkedBytes = 64 * 1024 * 1024 } = this.options
    if (job.parked.length >= maxParkedEvents || this.parkedBytes + bytes > maxParkedBytes) {
      this.unpark(job)
      job.overflowed = true
      return true
    }
    job.parked.push({ event, bytes })
    this.parkedBytes += bytes
    return true
  }

  /** Resolves when nothing is left to fetch, or the signal aborted. */
  async idle(): Promise<void> {
    const { signal } = this.options
    while (this.jobs.size > 0 && !signal.aborted) await this.progress()
  }

  /** Resolves when no work is under way any more. To be called after the signal aborted. */
  async stopped(): Promise<void> {
    while (this.running > 0) {
      await new Promise<void>((resolve) => this.idlers.push(resolve))
    }
    await Promise.all(this.sleeping)
  }

  private enqueue(did: string, first?: Job['parked'][number]): void {
    if (this.jobs.has(did)) return
    const job: Job = { did, parked: [], overflowed: false }
    this.jobs.set(did, job)
    if (first !== undefined) this.park(first.event, first.bytes)
    this.line.push(job)
    this.startWork()
  }

  /** Waits until not too many are in line. */
  private async room(): Promise<void> {
    while (this.jobs.size >= MAX_IN_LINE && !this.options.signal.aborted) await this.progress()
  }

  private progress(): Promise<void> {
    return new Promise((resolve) => {
      this.idlers.push(resolve)
      this.options.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  private startWork(): void {
    const { concurrency = 8, signal } = this.options
    while (this.running < concurrency && !signal.aborted) {
      const job = this.line.shift()
      if (job === undefined) return
      this.running++
      void this.work(job).finally(() => {
        this.running--
        const { idlers } = this
        this.idlers = []
        for (const wake of idlers) wake()
        this.startWork()
      })
    }
  }

  private async work(job: Job, attempt = 1): Promise<void> {
    const { signal, onIssue, onFailure, source } = this.options
    let failure: unknown
    try {
      if (await this.synchronize(job)) return
      failure = new FetchFailedError(source, 'the copy does not reach the live events')
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof FetchFailedError) && !isIdentityFailure(error)) {
        onFailure(error)
        return
      }
      failure = error
    }
    const asked = failure instanceof FetchFailedError ? failure.retryAfterMs : undefined
    const delayMs = Math.max(asked ?? 0, backoffMs(attempt, RETRY))
    onIssue({ kind: 'resync-failed', source, did: job.did, attempt, delayMs, error: failure })
    const later = this.later(job, delayMs).finally(() => this.sleeping.delete(later))
    this.sleeping.add(later)
  }

  private async later(job: Job, delayMs: number): Promise<void> {
    const { clock, signal } = this.options
    try {
      await clock.sleep(delayMs, signal)
    } catch {
      return
    }
    this.line.push(job)
    this.startWork()
  }

  /** @returns `false` when the copy is older than what the stream has told already. */
  private async synchronize(job: Job): Promise<boolean> {
    const { did } = job
    const { identity, verifier, signal, store, source, clock, deliver } = this.options
    job.overflowed = false
    const account = identity.peek(did) ?? (await identity.resolve(did, { refresh: false, signal }))
    const host = account.pds === undefined ? '' : new URL(account.pds).host
    const release = await this.slots.take(host, signal)
    const before = await verifier.state(did)
    const base = {
      seq: this.options.position(),
      did,
      source,
      time: new Date(clock.now()).toISOString(),
      verified: true,
      live: false,
    }
    try {
      const { repo } = await fetchRepo(did, {
        identity,
        upstream: this.options.upstream ?? httpUrl(source),
        fetch: this.options.fetch,
        maxBytes: this.options.maxRepoBytes,
        minRev: before?.rev,
        signal,
      })
      const ops = diffRepo(await this.options.known(did), repo, this.options.collections)
      const { rev, cid, data } = repo
      await deliver({ ...base, type: 'commit', rev, commit: cid, data, ops })
      await verifier.adopt(did, { rev, data: data.toString(), commit: cid.toString() })
    } catch (error) {
      if (error instanceof FetchFailedError && error.retryAfterMs !== undefined) {
        this.slots.pause(host, error.retryAfterMs)
      }
      if (!(error instanceof RepoUnavailableError)) throw error
      const { status } = error
      await deliver({ ...base, type: 'account', active: false, status, verified: false })
      this.unpark(job)
    } finally {
      release()
    }
    do {
      if (!(await this.drain(job)) || job.overflowed) return false
      await verifier.flush()
      // What was parked while that was made durable follows too.
    } while (job.parked.length > 0)
    this.jobs.delete(did)
    await store.clear(did)
    return true
  }

  /** Lets parked events follow the copy. New ones keep being parked behind them until none is left. */
  private async drain(job: Job): Promise<boolean> {
    for (let next = job.parked[0]; next !== undefined; next = job.parked[0]) {
      if (!(await this.options.replay(next.event))) return false
      if (job.parked[0] !== next) continue
      job.parked.shift()
      this.parkedBytes -= next.bytes
    }
    return true
  }

  private unpark(job: Job): void {
    for (const { bytes } of job.parked) this.parkedBytes -= bytes
    job.parked = []
  }
}

function httpUrl(service: string): string {
  return service.replace(/^ws/, 'http')
}

/** Failures to resolve an account, which may be over later. */
function isIdentityFailure(error: unknown): boolean {
  return error !== null && typeof error === 'object' && 'family' in error
}
