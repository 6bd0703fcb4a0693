import { backoffMs } from '../backoff.ts'
import { FetchFailedError, RepoUnavailableError } from '../errors.ts'
import type { CommitEvent, SyncEvent } from '../event.ts'
import type { FirehoseIssue, StreamAccount, StreamCommit } from '../stream-event.ts'
import type { Clock } from '../timer.ts'
import type { VerifiedRepo } from '@skywright/repo'
import type { IdentitySource } from '../verify/identity.ts'
import type { EventVerifier } from '../verify/verifier.ts'
import { diffRepo } from './diff-repo.ts'
import { createRepoFetch, fetchRepo, resolveAccount, type FetchRepoOptions } from './fetch-repo.ts'
import { HostSlots } from './host-slots.ts'
import { ParkedEvents } from './parked-events.ts'
import type { FetchLike } from './request.ts'
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
  /**
   * Repositories to fetch unless their state is known already, such as {@link listRepos} gives them. Looped over for each
   * service that is followed, so it must be able to start anew.
   */
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
  /** Does work on an account between two of its events. */
  readonly inTurn: <T>(did: string, work: () => Promise<T>) => Promise<T>
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

/** Attempts after which a repository is left in the store, until the store is looked through again. */
const MAX_ATTEMPTS = 4

/** A repository, or why there is none. */
type RepoResult = VerifiedRepo | RepoUnavailableError

interface Job {
  readonly did: string
  /** Some live events had to be dropped: what is fetched now will be out of date at once. */
  overflowed: boolean
  attempts: number
  /** A copy older than this, which the account has signed, does not do. */
  minRev: string
  /** Events came of which nothing is known any more. Only the account's own host can tell how far it is. */
  direct: boolean
}

/**
 * Brings repositories up to date: fetches them, tells the consumer what changed, and then lets the live events that
 * came meanwhile follow. Each repository is fetched once at a time, however often that was asked for.
 */
export class Synchronizer {
  private readonly options: SynchronizerOptions
  private readonly slots: HostSlots
  private readonly upstream: string
  private readonly fetchLike: FetchLike
  private readonly jobs = new Map<string, Job>()
  private readonly line: Job[] = []
  private readonly sleeping = new Set<Promise<void>>()
  private running = 0
  /** Live events that came meanwhile. */
  private readonly parked: ParkedEvents
  /** Something is marked in the store and not held here. */
  private hasLeft = false
  private idlers: (() => void)[] = []

  constructor(options: SynchronizerOptions) {
    this.options = options
    this.upstream = options.upstream ?? httpUrl(options.source)
    const { fetch, maxRepoBytes: maxBytes, clock } = options
    const { maxParkedEvents = 1_000, maxParkedBytes = 64 * 1024 * 1024 } = options
    this.parked = new ParkedEvents(maxParkedEvents, maxParkedBytes)
    this.fetchLike = fetch ?? createRepoFetch({ trusted: this.upstream, maxBytes, clock })
    this.slots = new HostSlots(options.perHost ?? 2, clock, options.signal)
    options.signal.addEventListener('abort', () => this.wake(), { once: true })
  }

  /**
   * Takes up what an earlier run left to do, and then what is listed; no faster than it gets done. Then, until the
   * signal aborts, whatever had to be left for later.
   */
  async fill(): Promise<void> {
    const { store, backfill, verifier, signal, clock } = this.options
    await this.takeUp()
    if (backfill !== undefined) {
      for await (const { dids } of untilAborted(backfill, signal)) {
        const unknown: string[] = []
        for (const did of dids) if ((await verifier.state(did)) === undefined) unknown.push(did)
        await store.mark(unknown)
        for (const did of unknown) this.enqueue(did, { direct: false })
        await this.room()
      }
    }
    while (!signal.aborted) {
      await clock.sleep(RETRY.maxMs, signal)
      if (!this.hasLeft) continue
      this.hasLeft = false
      await this.takeUp()
    }
  }

  private async takeUp(): Promise<void> {
    for await (const did of this.options.store.pending()) {
      if (this.options.signal.aborted) return
      this.enqueue(did, { direct: true })
      await this.room()
    }
  }

  /** A live event that does not follow: its repository is fetched, and the event waits for that. */
  async request(event: CommitEvent | SyncEvent, bytes: number): Promise<void> {
    const { did, rev } = event
    await this.options.store.mark([did])
    this.enqueue(did, { direct: false })
    this.park(event, bytes)
    const job = this.jobs.get(did)
    if (job !== undefined && rev > job.minRev) job.minRev = rev
  }

  /** An account is active again. What happened to its repository meanwhile is known only if the chain was kept. */
  async comeBack(did: string): Promise<void> {
    if ((await this.options.verifier.state(did)) !== undefined) return
    await this.options.store.mark([did])
    this.enqueue(did, { direct: true })
  }

  /**
   * Holds a live event back when its repository is being fetched.
   *
   * @returns `false` when it is not being fetched: the event is to be handled now.
   */
  park(event: CommitEvent | SyncEvent, bytes: number): boolean {
    const job = this.jobs.get(event.did)
    if (job === undefined) return false
    if (!this.parked.hold(event, bytes)) {
      this.parked.drop(event.did)
      job.overflowed = true
      job.direct = true
    }
    return true
  }

  /** Resolves when no work is under way any more. To be called after the signal aborted. */
  async stopped(): Promise<void> {
    while (this.running > 0) {
      await new Promise<void>((resolve) => this.idlers.push(resolve))
    }
    await Promise.all(this.sleeping)
  }

  private enqueue(did: string, { direct }: { readonly direct: boolean }): void {
    if (this.jobs.has(did)) return
    const job: Job = { did, overflowed: false, attempts: 0, minRev: '', direct }
    this.jobs.set(did, job)
    this.lineUp(job)
  }

  /** Waits until not too many are in line. */
  private async room(): Promise<void> {
    while (this.jobs.size >= MAX_IN_LINE && !this.options.signal.aborted) await this.progress()
  }

  /** Resolves when a fetch ended, or the signal aborted. */
  private progress(): Promise<void> {
    return new Promise((resolve) => {
      this.idlers.push(resolve)
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
        this.wake()
        this.startWork()
      })
    }
  }

  private wake(): void {
    const { idlers } = this
    this.idlers = []
    for (const resolve of idlers) resolve()
  }

  private async work(job: Job): Promise<void> {
    const { signal, onIssue, onFailure, source } = this.options
    let failure: FetchFailedError
    try {
      if ((await this.synchronize(job)) !== 'behind') return
      job.direct = true
      failure = new FetchFailedError(source, 'the copy does not reach the live events')
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof FetchFailedError)) {
        onFailure(error)
        return
      }
      failure = error
    }
    const attempt = ++job.attempts
    const delayMs = Math.max(failure.retryAfterMs ?? 0, backoffMs(attempt, RETRY))
    onIssue({ kind: 'resync-failed', source, did: job.did, attempt, delayMs, error: failure })
    if (attempt >= MAX_ATTEMPTS) {
      this.leave(job)
      return
    }
    const later = this.later(job, delayMs).finally(() => this.sleeping.delete(later))
    this.sleeping.add(later)
  }

  /** Leaves a repository to the store, where it stays marked, so that it does not stand in the way of others. */
  private leave(job: Job): void {
    this.parked.drop(job.did)
    this.jobs.delete(job.did)
    this.hasLeft = true
  }

  private async later(job: Job, delayMs: number): Promise<void> {
    const { clock, signal } = this.options
    try {
      await clock.sleep(delayMs, signal)
    } catch {
      return
    }
    this.lineUp(job)
  }

  private lineUp(job: Job): void {
    this.line.push(job)
    this.startWork()
  }

  /** @returns `behind` when the copy is older than what the stream has told already. */
  private async synchronize(job: Job): Promise<'done' | 'behind' | 'waiting'> {
    const { did } = job
    const { verifier, inTurn, signal, identity } = this.options
    job.overflowed = false
    let copy: RepoResult | undefined
    if (await verifier.isActive(did)) {
      const account = identity.peek(did) ?? (await resolveAccount(did, identity, false, signal))
      const { pds = '' } = account
      const host = URL.canParse(pds) ? new URL(pds).host : ''
      const release = this.slots.take(host)
      if (release === undefined) {
        if (!this.slots.wait(host, () => this.lineUp(job))) this.leave(job)
        return 'waiting'
      }
      try {
        copy = await this.fetch(job, host)
      } finally {
        release()
      }
    }
    const isDone = await inTurn(did, () => this.complete(job, copy))
    return isDone ? 'done' : 'behind'
  }

  /** The repository, or the status for which there is none. */
  private async fetch({ did, direct, minRev }: Job, host: string): Promise<RepoResult> {
    const { identity, verifier, signal } = this.options
    const known = (await verifier.state(did))?.rev ?? ''
    try {
      const { repo } = await fetchRepo(did, {
        identity,
        upstream: direct ? undefined : this.upstream,
        fetch: this.fetchLike,
        maxBytes: this.options.maxRepoBytes,
        minRev: known > minRev ? known : minRev,
        signal,
      })
      return repo
    } catch (error) {
      if (error instanceof RepoUnavailableError) return error
      if (error instanceof FetchFailedError && error.retryAfterMs !== undefined) {
        this.slots.pause(host, error.retryAfterMs)
      }
      throw error
    }
  }

  /**
   * Tells what the copy says and what came after it. Events of the account wait meanwhile.
   *
   * @param copy absent for an account that is not active.
   * @returns `false` when it is older than what the stream has told already.
   */
  private async complete(job: Job, copy: RepoResult | undefined): Promise<boolean> {
    const { did } = job
    const { verifier, store, source, clock, deliver } = this.options
    const base = {
      seq: this.options.position(),
      did,
      source,
      time: new Date(clock.now()).toISOString(),
      live: false,
    }
    if (copy === undefined || !(await verifier.isActive(did))) {
      // The stream said so meanwhile. It will say when that is over, and then the chain starts anew.
      this.parked.drop(did)
      await verifier.forget(did)()
    } else if (copy instanceof RepoUnavailableError) {
      const { status } = copy
      await deliver({ ...base, type: 'account', active: false, status, verified: false })
      this.parked.drop(did)
      await verifier.forget(did)()
    } else {
      const ops = diffRepo(await this.options.known(did), copy, this.options.collections)
      const { rev, cid, data } = copy
      await deliver({ ...base, type: 'commit', verified: true, rev, commit: cid, data, ops })
      await verifier.adopt(did, { rev, data: data.toString(), commit: cid.toString() })
      if (!(await this.drain(job)) || job.overflowed) return false
    }
    await verifier.flush()
    this.jobs.delete(did)
    await store.clear(did)
    return true
  }

  /** Lets parked events follow the copy. */
  private async drain({ did }: Job): Promise<boolean> {
    for (let next = this.parked.first(did); next !== undefined; next = this.parked.first(did)) {
      if (!(await this.options.replay(next))) return false
      this.parked.passed(did)
    }
    return true
  }
}

function httpUrl(service: string): string {
  return service.replace(/^ws/, 'http')
}
