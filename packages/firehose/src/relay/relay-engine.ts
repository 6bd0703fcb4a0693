import { encodeEvent } from '../codec.ts'
import { KeyedQueue } from '../queue.ts'
import { systemClock, type Clock } from '../timer.ts'
import { accountStatus } from './account-state.ts'
import { HostFollower, type HostFollowerOptions } from './host-follower.ts'
import { Ingest } from './ingest.ts'
import type { AccountRecord, HostRecord } from './ports.ts'
import type { FollowHostOptions, HostChange, Relay, RelayOptions } from './relay.ts'

/** Longest delay between two attempts to reach a host. */
const DEFAULT_MAX_BACKOFF_MS = 3_600_000
const DEFAULT_OFFLINE_AFTER_ATTEMPTS = 5
const DEFAULT_IDLE_AFTER_MS = 86_400_000
const DEFAULT_CURSOR_INTERVAL_MS = 1_000
/**
 * Accounts worked on at the same time. Most of that time is waiting for somebody's DID document: so many that the few a
 * young host may have in the works do not add up to all of them.
 */
const DEFAULT_CONCURRENCY = 1_024
/** Events of all hosts in the works, in bytes. */
const MAX_QUEUED_BYTES: number = 256 * 1024 * 1024
/** Hosts read per step when starting. */
const HOST_PAGE = 500
/** Hosts connected to at once when starting, and the pause before the next ones, in milliseconds. */
const START_BATCH = 100
const START_PAUSE_MS = 250

/** Makes a relay. Nothing happens before {@link Relay.start} or {@link Relay.follow}. */
export function createRelay(options: RelayOptions): Relay {
  return new RelayEngine(options)
}

class RelayEngine implements Relay {
  private readonly options: RelayOptions
  private readonly clock: Clock
  private readonly queue: KeyedQueue
  private readonly stopping = new AbortController()
  private readonly followers = new Map<string, HostFollower>()
  private readonly forFollowers: HostFollowerOptions
  private starting: Promise<void> | undefined
  private saving: Promise<void> | undefined

  constructor(options: RelayOptions) {
    this.options = options
    const { store, identity, onNotice, open, prove, clock = systemClock } = options
    this.clock = clock
    this.queue = new KeyedQueue({
      concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
      maxBytes: MAX_QUEUED_BYTES,
    })
    this.forFollowers = {
      store,
      queue: this.queue,
      ingest: new Ingest({ store, identity, onNotice, prove, clock }),
      open,
      onNotice,
      clock,
      backoff: { maxMs: DEFAULT_MAX_BACKOFF_MS, ...options.backoff },
      offlineAfterAttempts: options.offlineAfterAttempts ?? DEFAULT_OFFLINE_AFTER_ATTEMPTS,
      idleAfterMs: options.idleAfterMs ?? DEFAULT_IDLE_AFTER_MS,
      signal: this.stopping.signal,
    }
  }

  start(): void {
    const { store } = this.options
    const followers: HostFollower[] = []
    let cursor: string | undefined
    do {
      const page = store.listHosts({
        limit: HOST_PAGE,
        ...(cursor === undefined ? {} : { cursor }),
      })
      for (const host of page.items) {
        if (host.status !== 'banned') followers.push(this.follower(host))
      }
      ;({ cursor } = page)
    } while (cursor !== undefined)
    this.starting ??= this.connect(followers)
    this.saving ??= this.saveCursors()
  }

  async follow(options: FollowHostOptions): Promise<boolean> {
    this.stopping.signal.throwIfAborted()
    const { hostname } = options
    let follower = this.followers.get(hostname)
    if (follower === undefined) {
      const record = this.options.store.getHost(hostname) ?? newHost(options, this.clock.now())
      await this.storeHost(record)
      follower = this.followers.get(hostname) ?? this.follower(record)
      this.saving ??= this.saveCursors()
    }
    if (follower.hasUnknownCursor) await follower.reset()
    return await follower.hurry()
  }

  async updateHost(hostname: string, change: HostChange): Promise<HostRecord | undefined> {
    const { store } = this.options
    const record = this.followers.get(hostname)?.record ?? store.getHost(hostname)
    if (record === undefined) return undefined
    const { banned = record.status === 'banned' } = change
    const changed: HostRecord = {
      ...record,
      enforcement: change.enforcement ?? record.enforcement,
      accountLimit: change.accountLimit ?? record.accountLimit,
      status: banned ? 'banned' : record.status === 'banned' ? 'active' : record.status,
    }
    const follower = this.followers.get(hostname)
    follower?.change(changed)
    if (banned && follower !== undefined) {
      this.followers.delete(hostname)
      await follower.stop()
      await follower.save()
    } else {
      await (follower === undefined ? this.storeHost(changed) : follower.save())
    }
    if (!banned && follower === undefined) this.follower(changed).start()
    return store.getHost(hostname)
  }

  async setTakedown(did: string, applied: boolean): Promise<boolean> {
    const isKnown = await new Promise<boolean>((resolve, reject) => {
      // In line with the account's events: none of them can slip in between.
      const task = async (): Promise<void> => {
        try {
          resolve(await this.applyTakedown(did, applied))
        } catch (error) {
          reject(error instanceof Error ? error : new Error('takedown failed', { cause: error }))
        }
      }
      this.queue.push(did, 0, task).catch(reject)
    })
    // It may mean reading all of the window: nobody else waits for that.
    if (isKnown && applied) await this.options.log.removeHidden?.()
    return isKnown
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping.abort()
    const followers = [...this.followers.values()]
    await Promise.all(followers.map((follower) => follower.stop()))
    await this.starting
    await this.saving
    await this.queue.idle().catch(() => undefined)
    await Promise.all(followers.map((follower) => follower.save()))
  }

  private async applyTakedown(did: string, applied: boolean): Promise<boolean> {
    const { store, log } = this.options
    const account = store.getAccount(did)
    if (account === undefined) return false
    const changed: AccountRecord = { ...account, localStatus: applied ? 'takendown' : undefined }
    if (applied) {
      // First nothing new, then nothing old, then the announcement, which is to stay.
      await store.commit({ events: [], accounts: [changed], hosts: [] })
      await (log.hideDid?.(did) ?? log.eraseDid(did))
    }
    const time = new Date(this.clock.now()).toISOString()
    const event = { type: 'account', seq: 0, did, time, ...accountStatus(changed) } as const
    await store.commit({
      events: [{ did, encode: (seq) => encodeEvent(event, seq) }],
      accounts: [changed],
      hosts: [],
    })
    return true
  }

  private follower(record: HostRecord): HostFollower {
    const follower = new HostFollower(record, this.forFollowers)
    this.followers.set(record.hostname, follower)
    return follower
  }

  /** Thousands of handshakes in one moment would help nobody. */
  private async connect(followers: readonly HostFollower[]): Promise<void> {
    const { signal } = this.stopping
    for (const [i, follower] of followers.entries()) {
      if (i > 0 && i % START_BATCH === 0) {
        await this.clock.sleep(START_PAUSE_MS, signal).catch(() => undefined)
      }
      if (signal.aborted) return
      // Banned in the meantime: not ours any more.
      if (this.followers.get(follower.record.hostname) === follower) follower.start()
    }
  }

  private async storeHost(host: HostRecord): Promise<void> {
    await this.options.store.commit({ events: [], accounts: [], hosts: [host] })
  }

  /** Cursors trail behind events: what comes again after a crash is recognised by its account. */
  private async saveCursors(): Promise<void> {
    const { onNotice, cursorIntervalMs = DEFAULT_CURSOR_INTERVAL_MS } = this.options
    const { signal } = this.stopping
    while (!signal.aborted) {
      try {
        await this.clock.sleep(cursorIntervalMs, signal)
        await Promise.all([...this.followers.values()].map((follower) => follower.save()))
      } catch (error) {
        if (signal.aborted) return
        onNotice({ kind: 'failure', hostname: undefined, error })
      }
    }
  }
}

function newHost(options: FollowHostOptions, now: number): HostRecord {
  const { hostname, url, enforcement, accountLimit } = options
  return {
    hostname,
    url,
    status: 'active',
    cursor: undefined,
    enforcement,
    accountCount: 0,
    accountLimit,
    addedAtMs: now,
    lastEventAtMs: undefined,
  }
}
