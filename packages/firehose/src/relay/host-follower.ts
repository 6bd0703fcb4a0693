import type { BackoffOptions } from '../backoff.ts'
import { DisconnectedError, FutureCursorError } from '../errors.ts'
import { followFrames, type ReceivedFrame } from '../follow.ts'
import { LowWater } from '../low-water.ts'
import type { KeyedQueue } from '../queue.ts'
import type { OpenStream } from '../socket.ts'
import type { FirehoseIssue } from '../stream-event.ts'
import type { Clock } from '../timer.ts'
import { DailyCount, defaultEventsPerSecond, HostRate, maxPendingEvents } from './host-rate.ts'
import type { Ingest, IngestHost } from './ingest.ts'
import type { ConnectionNotice, RelayNotice } from './notice.ts'
import type { HostRecord, HostStatus, RelayStore } from './ports.ts'

/**
 * Accounts a host may bring a day for each one it may have. Deleted accounts make room and are remembered: who makes
 * and deletes them all day would fill the disk otherwise.
 */
const ARRIVALS_PER_PLACE = 2
const SUBSCRIBE_REPOS = 'com.atproto.sync.subscribeRepos'
/** Bytes of one host received and not yet handled above which its socket is not read: room for one event of any size. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024
/** Bytes received and not yet read by us above which a socket is paused. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024

export interface HostFollowerOptions {
  readonly store: RelayStore
  readonly queue: KeyedQueue
  readonly ingest: Ingest
  readonly open: OpenStream
  readonly onNotice: (notice: RelayNotice) => void
  readonly clock: Clock
  readonly backoff: BackoffOptions & { readonly maxMs: number }
  readonly offlineAfterAttempts: number
  readonly idleAfterMs: number
  /** Ends following for good. */
  readonly signal: AbortSignal
}

/** One host, followed for ever: its connection, its cursor, its status. */
export class HostFollower implements IngestHost {
  readonly signal: AbortSignal
  private readonly options: HostFollowerOptions
  private readonly stopping = new AbortController()
  private readonly rate: HostRate
  private current: HostRecord
  private lowWater: LowWater
  /** Continue behind this number: received, perhaps still being handled. */
  private received: number | undefined
  private attempt = new AbortController()
  private opened = false
  /** An attempt is under way: hurrying would only start it over. */
  private opening = false
  private unknownCursor = false
  private reserved = 0
  private readonly arrivals: DailyCount
  private pendingBytes = 0
  private dirty = false
  private drained: (() => void) | undefined
  private outcome: ((opened: boolean) => void)[] = []
  private running: Promise<void> | undefined
  private saved: Promise<void> = Promise.resolve()

  constructor(record: HostRecord, options: HostFollowerOptions) {
    this.options = options
    this.current = record
    this.received = record.cursor
    this.lowWater = new LowWater(record.cursor)
    this.signal = AbortSignal.any([options.signal, this.stopping.signal])
    this.arrivals = new DailyCount(options.clock)
    this.rate = new HostRate(options.clock, defaultEventsPerSecond(record.accountLimit))
  }

  /** The host as it is now; its account count is the store's. */
  get record(): HostRecord {
    return this.current
  }

  get isOpen(): boolean {
    return this.opened
  }

  start(): void {
    this.running ??= this.run()
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    await this.running
  }

  /** Tries now instead of later. @returns whether the connection is open. */
  hurry(): Promise<boolean> {
    if (this.opened) return Promise.resolve(true)
    const outcome = new Promise<boolean>((resolve) => this.outcome.push(resolve))
    if (this.running === undefined) this.start()
    else if (!this.opening) this.attempt.abort()
    return outcome
  }

  /** Whether the host said, or showed, that it does not know the cursor: then only a new start helps. */
  get hasUnknownCursor(): boolean {
    return this.unknownCursor
  }

  /** Forgets the cursor: the host began a new sequence. */
  async reset(): Promise<void> {
    this.received = undefined
    this.lowWater = new LowWater(undefined)
    this.unknownCursor = false
    this.current = { ...this.current, cursor: undefined }
    const { store } = this.options
    await store.commit({
      events: [],
      accounts: [],
      hosts: [this.current],
      resetHosts: [this.current.hostname],
    })
  }

  change(change: Partial<HostRecord>): void {
    const { status } = this.current
    this.current = { ...this.current, ...change }
    if (change.accountLimit !== undefined && this.current.status === 'throttled' && this.hasRoom())
      this.current = { ...this.current, status: 'active' }
    this.dirty = true
    if (this.current.status !== status) {
      const { hostname, status: after } = this.current
      this.options.onNotice({ kind: 'status', hostname, before: status, status: after })
      // Others ask the store for it: not to wait for the next cursor.
      this.save().catch((error: unknown) => {
        this.options.onNotice({ kind: 'failure', hostname, error })
      })
    }
  }

  /** Stores what changed since the last time. Resolves when that and everything before it is durable. */
  save(): Promise<void> {
    this.saved = this.saved.catch(() => undefined).then(() => this.write())
    return this.saved
  }

  private async write(): Promise<void> {
    const cursor = this.lowWater.value
    if (!this.dirty && cursor === this.current.cursor) return
    this.dirty = false
    this.current = { ...this.current, cursor }
    await this.options.store.commit({ events: [], accounts: [], hosts: [this.current] })
  }

  reserveAccount(): ((arrived: boolean) => void) | undefined {
    if (!this.hasRoom()) {
      this.setStatus('throttled')
      return undefined
    }
    if (this.current.status === 'throttled') this.setStatus('active')
    this.reserved++
    return (arrived) => {
      this.reserved--
      if (arrived) this.arrivals.add()
    }
  }

  private async run(): Promise<void> {
    const { clock, backoff, onNotice } = this.options
    while (!this.signal.aborted) {
      this.attempt = new AbortController()
      const signal = AbortSignal.any([this.signal, this.attempt.signal])
      try {
        for await (const received of this.frames(signal)) await this.accept(received, signal)
      } catch (error) {
        if (!signal.aborted) {
          if (error instanceof FutureCursorError) this.futureCursor(error)
          else onNotice({ kind: 'failure', hostname: this.current.hostname, error })
          this.closed()
          await clock.sleep(backoff.maxMs, signal).catch(() => undefined)
        }
      }
      this.opened = false
    }
    this.closed()
  }

  private frames(signal: AbortSignal): AsyncIterable<ReceivedFrame> {
    const { open, clock, backoff, idleAfterMs } = this.options
    return followFrames({
      service: this.current.url,
      nsid: SUBSCRIBE_REPOS,
      cursor: this.received,
      open: (url, options) => {
        this.opening = true
        return open(url, { ...options, onOpen: () => this.connected() })
      },
      clock,
      signal,
      onIssue: (issue) => this.issue(issue),
      backoff,
      stallMs: idleAfterMs,
      idleTimeoutMs: undefined,
      highWaterBytes: HIGH_WATER_BYTES,
    })
  }

  private async accept(received: ReceivedFrame, signal: AbortSignal): Promise<void> {
    const { clock, queue, ingest, store } = this.options
    const { seq, did = '' } = received.peek
    if (seq === undefined) {
      this.notice('unknown-frame', 0, undefined, undefined)
      return
    }
    this.received = seq
    this.unknownCursor = false
    if (this.lowWater.value === undefined && this.lowWater.pending === 0) {
      // From the first event on, a crash must find a cursor that leads back to it.
      this.lowWater = new LowWater(seq - 1)
      this.change({ cursor: seq - 1 })
      await store.commit({ events: [], accounts: [], hosts: [this.current] })
    }
    this.change({ lastEventAtMs: clock.now() })
    if (this.current.status !== 'active' && this.current.status !== 'throttled') {
      this.setStatus('active')
    }
    const { lowWater } = this
    const { length } = received.frame
    const done = lowWater.start(seq)
    this.pendingBytes += length
    await queue.push(did, length, async () => {
      if (this.signal.aborted) return
      try {
        await ingest.handle(received, this)
      } catch (error) {
        // Stopped in the middle: not done, and read again at the next start.
        if (this.signal.aborted) return
        this.options.onNotice({ kind: 'failure', hostname: undefined, error })
        throw error
      }
      done()
      this.pendingBytes -= length
      this.drained?.()
    })
    await this.hasRoomForMore(signal)
    await this.rate.take(defaultEventsPerSecond(this.current.accountLimit), length, signal)
  }

  /** Waits while too much of this host is being handled: accounts that nobody answers for hold up their own host only. */
  private async hasRoomForMore(signal: AbortSignal): Promise<void> {
    const isFull = (): boolean =>
      this.lowWater.pending >= maxPendingEvents(this.current.accountLimit) ||
      this.pendingBytes >= MAX_PENDING_BYTES
    if (!isFull()) return
    const wake = (): void => this.drained?.()
    signal.addEventListener('abort', wake)
    while (isFull() && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.drained = resolve
      })
    }
    this.drained = undefined
    signal.removeEventListener('abort', wake)
  }

  private connected(): void {
    this.opened = true
    this.opening = false
    this.notice('connected', 0, undefined, undefined)
    if (this.current.status === 'throttled' && this.hasRoom()) this.setStatus('active')
    else if (this.current.status !== 'throttled') this.setStatus('active')
    this.tell(true)
  }

  private issue(issue: FirehoseIssue): void {
    switch (issue.kind) {
      case 'reconnect':
        this.opened = false
        this.opening = false
        if (issue.error instanceof DisconnectedError && issue.error.wentBackwards) {
          this.unknownCursor = true
        }
        this.notice('lost', issue.attempt, issue.delayMs, issue.error)
        if (issue.attempt >= this.options.offlineAfterAttempts) this.setStatus('offline')
        this.tell(false)
        break
      case 'stall':
        if (this.current.status === 'active') this.setStatus('idle')
        break
      case 'invalid-frame':
        this.notice('invalid-frame', 0, undefined, issue.error)
        break
      case 'gap':
        this.notice('gap', 0, undefined, undefined)
        break
      default:
    }
  }

  private futureCursor(error: FutureCursorError): void {
    this.unknownCursor = true
    this.notice('future-cursor', 0, this.options.backoff.maxMs, error)
    this.setStatus('idle')
  }

  private closed(): void {
    this.opened = false
    this.opening = false
    this.tell(false)
  }

  private tell(opened: boolean): void {
    const { outcome } = this
    this.outcome = []
    for (const resolve of outcome) resolve(opened)
  }

  /** Whether one more account may come: within the limit, and within what may come a day. */
  private hasRoom(): boolean {
    const { hostname, accountLimit } = this.current
    const count = this.options.store.getHost(hostname)?.accountCount ?? 0
    return (
      count + this.reserved < accountLimit &&
      this.arrivals.today() + this.reserved < ARRIVALS_PER_PLACE * accountLimit
    )
  }

  private setStatus(status: HostStatus): void {
    if (this.current.status !== status) this.change({ status })
  }

  private notice(
    reason: ConnectionNotice['reason'],
    attempt: number,
    delayMs: number | undefined,
    error: unknown,
  ): void {
    const { hostname } = this.current
    this.options.onNotice({ kind: 'connection', hostname, reason, attempt, delayMs, error })
  }
}
