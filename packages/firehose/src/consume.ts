import type { CursorStore } from './cursor-store.ts'
import type { ConsumerCounts } from './consumer-counts.ts'
import type { AccountEvent, CommitEvent, RepoEvent, SyncEvent } from './event.ts'
import { createFrameFilter, createScope, type EventFilter } from './filter.ts'
import type { ReceivedFrame } from './follow.ts'
import { FrameReader } from './frame-reader.ts'
import { LowWater } from './low-water.ts'
import { KeyedQueue, type KeyedQueueOptions } from './queue.ts'
import type { FirehoseIssue, StreamEvent } from './stream-event.ts'
import { trustedEvent, verifiedCommit } from './to-stream-event.ts'
import type { ResyncOptions } from './resync/synchronizer.ts'
import { Synchronizer } from './resync/synchronizer.ts'
import { FrameTally, type StreamObserver } from './tally.ts'
import { abortError, type Clock } from './timer.ts'
import type { EventVerifier } from './verify/verifier.ts'

/** An event on its way to its handler. */
export interface Delivery {
  readonly event: StreamEvent
  /** To be called once, when the event is completely handled. */
  readonly finish: () => void
}

export interface ConsumerOptions {
  readonly source: string
  /** Counted into. */
  readonly counts: ConsumerCounts
  readonly cursor: number | undefined
  readonly cursors: CursorStore | undefined
  readonly verify: EventVerifier | false
  readonly filter: EventFilter | undefined
  readonly onIssue: (issue: FirehoseIssue) => void
  readonly observe: StreamObserver | undefined
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly queue: KeyedQueueOptions
  readonly cursorIntervalMs: number
  readonly lagMs: number
  /** Takes an event; resolves when the next event of the same account may be given. */
  readonly deliver: (delivery: Delivery) => Promise<void>
  /** Told as soon as something failed that ends the run. */
  readonly onFailure: (error: unknown) => void
  /** Fetches repositories that are out of date; for a verifier with policy `consumer`. */
  readonly resync: ResyncOptions | undefined
}

/**
 * From frames of one source to handled events: filter, decode, verify, deliver in per-account order, and move the
 * cursor behind what is finished. Memory is bounded by the queue; when it is full, nothing more is read.
 */
export class Consumer {
  readonly counts: ConsumerCounts
  private readonly options: ConsumerOptions
  private readonly queue: KeyedQueue
  private readonly tally: FrameTally
  private readonly reader: FrameReader
  private readonly lowWater: LowWater
  private readonly wanted: ReturnType<typeof createFrameFilter>
  private readonly inScope: ReturnType<typeof createScope>
  private stored: number | undefined
  private storing: Promise<void> | undefined
  private readonly ending = new AbortController()

  private readonly synchronizer: Synchronizer | undefined

  constructor(options: ConsumerOptions) {
    this.options = options
    this.counts = options.counts
    this.synchronizer = this.createSynchronizer()
    this.queue = new KeyedQueue(options.queue)
    this.tally = new FrameTally(options)
    this.reader = new FrameReader({ ...options, tally: this.tally })
    this.lowWater = new LowWater(options.cursor)
    this.wanted = createFrameFilter(options.filter)
    this.inScope = createScope(options.filter)
    this.stored = options.cursor
  }

  /** The safe cursor now. */
  get cursor(): number | undefined {
    return this.lowWater.value
  }

  /**
   * Consumes frames until they end or anything fails, then waits for what is in work and stores the cursor. What was
   * received before the frames ended is handled first; after an abort or a failure, nothing more is begun.
   */
  async run(frames: AsyncIterable<ReceivedFrame>): Promise<void> {
    const filling = this.synchronizer?.fill().catch((error: unknown) => {
      if (!this.ending.signal.aborted) this.fail(error)
    })
    const { signal } = this.options
    const clear = (): void => {
      this.queue.clear()
    }
    signal.addEventListener('abort', clear, { once: true })
    try {
      try {
        for await (const received of frames) {
          if (signal.aborted) break
          await this.accept(received)
        }
      } finally {
        await this.queue.idle()
      }
    } finally {
      signal.removeEventListener('abort', clear)
      this.ending.abort()
      await filling
      await this.synchronizer?.stopped()
      await this.storing
      await this.store()
    }
  }

  private async accept({ frame, peek }: ReceivedFrame): Promise<void> {
    const { verify } = this.options
    this.tally.received(peek.type, frame.length, this.queue.size)
    if (peek.seq === undefined) {
      this.reader.info(frame, this.lowWater.value, peek.type)
      return
    }
    const done = this.lowWater.start(peek.seq)
    const finish = (): void => {
      done()
      this.storeSoon()
    }
    // Where chains are followed, every commit of an account is looked at, wanted or not.
    const followsChains = verify !== false && verify.policy !== 'unchained'
    if (!(followsChains ? this.inScope(peek) : this.wanted(peek))) {
      this.tally.ended(peek.type, 'filtered')
      finish()
      return
    }
    const event = this.reader.event(frame, peek.seq, peek.type)
    if (event === undefined) {
      finish()
      return
    }
    this.reader.checkLag(event)
    await this.queue.push(this.laneOf(event.did), frame.length, async () => {
      try {
        await this.handle(event, frame, finish, () => this.wanted(peek))
      } catch (error) {
        this.fail(error)
        throw error
      }
    })
  }

  private async handle(
    event: RepoEvent,
    frame: Uint8Array,
    finish: () => void,
    wanted: () => boolean,
  ): Promise<void> {
    const { source, verify } = this.options
    if (event.type === 'commit' || event.type === 'sync') {
      await this.acceptCommit(event, frame, finish, wanted)
      return
    }
    if (event.type === 'identity' && verify !== false) verify.purge(event.did)
    let done = finish
    if (event.type === 'account' && verify !== false) {
      const settle = await this.acceptAccount(event, verify)
      done = () => {
        this.finishAfter(settle(), finish)
      }
    }
    if (wanted()) {
      await this.deliver(event, trustedEvent(event, source), done)
      return
    }
    this.tally.endedEvent(event, 'filtered')
    done()
  }

  /** What an `#account` event means for the commits after it. @returns stores that, once the event is handled. */
  private async acceptAccount(
    { did, active, status }: AccountEvent,
    verify: EventVerifier,
  ): Promise<() => Promise<void>> {
    const wasActive = await verify.isActive(did)
    const settle = [verify.setActive(did, active)]
    // Whoever drops what an account held has to be told all of it, should it come back.
    const isGone = !active && status === 'deleted' && verify.policy === 'consumer'
    if (isGone) settle.push(verify.forget(did))
    const isBack = active && !wasActive && this.synchronizer !== undefined
    return async () => {
      // First: once it is stored that the account is active, nobody would ask again.
      if (isBack) await this.synchronizer?.comeBack(did)
      for (const one of settle) await one()
    }
  }

  private async acceptCommit(
    event: CommitEvent | SyncEvent,
    frame: Uint8Array,
    finish: () => void,
    wanted: () => boolean,
  ): Promise<void> {
    const { source, verify, onIssue, filter, signal } = this.options
    if (this.synchronizer?.park(event, frame.length) === true) {
      this.tally.endedEvent(event, 'parked')
      finish()
      return
    }
    const { seq, did } = event
    if (verify === false) {
      const trusted = this.reader.trust(event)
      if (trusted === undefined) finish()
      else await this.deliver(event, trusted, finish)
      return
    }
    const outcome = await verify.verify(event, { signal, frame })
    if (outcome.status === 'rejected') {
      const { reason, error } = outcome
      this.tally.endedEvent(event, 'rejected', reason)
      onIssue({
        kind: 'rejected',
        source,
        seq,
        did,
        reason,
        ...(error === undefined ? {} : { error }),
      })
      finish()
      return
    }
    const { verified } = outcome
    const settle = (): void => {
      this.finishAfter(verify.settle(verified), finish)
    }
    if (outcome.status === 'discontinuous') {
      onIssue({ kind: 'discontinuous', source, seq, did, reason: outcome.reason })
      if (verify.policy === 'consumer') {
        await this.synchronizer?.request(event, frame.length)
        const held = this.synchronizer === undefined ? 'discontinuous' : 'parked'
        this.tally.endedEvent(event, held, outcome.reason)
        finish()
        return
      }
    }
    if (!wanted()) {
      this.tally.endedEvent(event, 'filtered')
      settle()
      return
    }
    const reason = outcome.status === 'discontinuous' ? outcome.reason : undefined
    await this.deliver(event, verifiedCommit(event, verified, source, reason, filter), settle)
  }

  private createSynchronizer(): Synchronizer | undefined {
    const { resync, verify, source, filter, clock, signal, onIssue } = this.options
    if (resync === undefined || verify === false) return undefined
    return new Synchronizer({
      ...resync,
      verifier: verify,
      source,
      collections: filter?.collections,
      clock,
      signal: AbortSignal.any([signal, this.ending.signal]),
      onIssue,
      position: () => this.lowWater.value ?? 0,
      inTurn: (did, work) => this.inTurn(did, work),
      deliver: (event) => this.deliverFully(event),
      replay: (event) => this.replay(verify, event),
      onFailure: (error) => {
        this.fail(error)
      },
    })
  }

  /** Does work on an account when the events of it that came before are handled, and before those that come after. */
  private inTurn<T>(did: string, work: () => Promise<T>): Promise<T> {
    const { signal } = this.options
    return new Promise((resolve, reject) => {
      // Work that has not begun then never does.
      const aborted = (): void => {
        reject(abortError(signal))
      }
      if (signal.aborted) {
        aborted()
        return
      }
      signal.addEventListener('abort', aborted, { once: true })
      const task = async (): Promise<void> => {
        signal.removeEventListener('abort', aborted)
        await work().then(resolve, reject)
      }
      this.queue.push(this.laneOf(did), 0, task).catch(reject)
    })
  }

  /** One at a time means in the order of the stream: lanes would take turns. */
  private laneOf(did: string): string {
    return this.options.queue.concurrency === 1 ? '' : did
  }

  /** Delivers an event that is not of the stream, and waits until it is handled. */
  private deliverFully(event: StreamEvent): Promise<void> {
    const { signal } = this.options
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        reject(abortError(signal))
      }
      signal.addEventListener('abort', aborted, { once: true })
      const finish = (): void => {
        signal.removeEventListener('abort', aborted)
        resolve()
      }
      this.options.deliver({ event, finish }).catch(reject)
    })
  }

  /** A parked event after its repository was fetched; `false` when it does not follow the copy. */
  private async replay(verify: EventVerifier, event: CommitEvent | SyncEvent): Promise<boolean> {
    const { source, filter, onIssue, signal } = this.options
    const outcome = await verify.verify(event, { signal })
    const { seq, did } = event
    if (outcome.status === 'discontinuous') {
      onIssue({ kind: 'discontinuous', source, seq, did, reason: outcome.reason })
      return false
    }
    if (outcome.status === 'rejected') {
      const { reason } = outcome
      if (reason !== 'stale-rev') onIssue({ kind: 'rejected', source, seq, did, reason })
      return true
    }
    const { verified } = outcome
    const stream = verifiedCommit(event, verified, source, undefined, filter)
    if (stream.type !== 'commit' || stream.ops.length > 0) await this.deliverFully(stream)
    await verify.settle(verified)
    return true
  }

  private finishAfter(settled: void | Promise<void>, finish: () => void): void {
    if (settled instanceof Promise) {
      void settled.then(finish, (error: unknown) => {
        this.fail(error)
      })
    } else finish()
  }

  private async deliver(from: RepoEvent, event: StreamEvent, finish: () => void): Promise<void> {
    await this.options.deliver({ event, finish })
    const reason = event.type === 'commit' ? event.discontinuity : undefined
    this.tally.endedEvent(from, 'delivered', reason)
  }

  /** Stores the cursor a moment later, one write at a time, without holding up the stream. */
  private storeSoon(): void {
    this.storing ??= this.storeLater()
  }

  private async storeLater(): Promise<void> {
    const { clock, cursorIntervalMs } = this.options
    // The end of the run cuts the wait short.
    await clock.sleep(cursorIntervalMs, this.ending.signal).catch(() => undefined)
    try {
      await this.store()
    } catch (error) {
      this.fail(error)
    } finally {
      this.storing = undefined
    }
  }

  private fail(error: unknown): void {
    this.options.onFailure(error)
  }

  private async store(): Promise<void> {
    const { cursors, source, verify } = this.options
    const cursor = this.lowWater.value
    if (cursor === undefined || cursor === this.stored) return
    // The chain first: a cursor ahead of it would make honest commits look discontinuous after a crash.
    if (verify !== false) await verify.flush()
    if (cursors !== undefined) await cursors.set(source, cursor)
    this.stored = cursor
  }
}
