import { setImmediate } from 'node:timers/promises'

import type { Delay } from './backoff.ts'
import { applySmallRepos, SMALL_REPO_RECORDS } from './engine/small-repos.ts'
import type { SmallRepo, SmallRepoOutcome } from './engine/small-repos.ts'
import { sweepStep } from './engine/sweep.ts'
import type { EngineContext } from './engine/apply-events.ts'
import { IndexerClosedError } from './errors.ts'
import { GroupCommit } from './group-commit.ts'
import type { IndexStore } from './stores/port.ts'
import type { IndexTransaction } from './stores/transaction.ts'

type Work<T> = (tx: IndexTransaction, context: EngineContext) => Generator<unknown, T, unknown>

/** How long sweeps may keep the event loop. */
const SWEEP_TURN_MS = 20

/** Serialises write transactions, tells waiting readers what changed, and finishes sweeps in the gaps. */
export class SerialWriter {
  /** Snapshots of small repos; those that wait at the same time share a transaction. */
  readonly smallRepos: GroupCommit<SmallRepo, SmallRepoOutcome>
  readonly #store: IndexStore
  readonly #context: () => EngineContext
  readonly #waiters = new Set<(touched: ReadonlySet<string>) => void>()
  readonly #workers = new Set<() => void>()
  #tail: Promise<unknown> = Promise.resolve()
  #sweeping: Promise<void> | undefined
  #closed = false
  #refusing = false

  constructor(store: IndexStore, context: () => EngineContext) {
    this.#store = store
    this.#context = context
    this.smallRepos = new GroupCommit<SmallRepo, SmallRepoOutcome>({
      transact: (step) => this.transact(step),
      work: applySmallRepos,
      keyOf: ({ did }) => did,
      sizeOf: ({ records }) => records.length,
      maxSize: SMALL_REPO_RECORDS,
    })
  }

  /** Runs one transaction after all earlier ones. */
  transact<T>(work: Work<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new IndexerClosedError())
    const result = this.#tail.then(() => {
      if (this.#refusing) throw new IndexerClosedError()
      return this.#store.transact((tx) => work(tx, this.#context()))
    })
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Runs several transactions with none of others in between; those wait. */
  exclusive<T>(work: (transact: <U>(step: Work<U>) => Promise<U>) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new IndexerClosedError())
    const result = this.#tail.then(() =>
      work((step) => this.#store.transact((tx) => step(tx, this.#context()))),
    )
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Lets nothing be written any more, not even what waits already. */
  refuse(): void {
    this.#closed = true
    this.#refusing = true
  }

  /** Wakes everybody waiting for changes. */
  announce(touched: ReadonlySet<string>): void {
    if (touched.size === 0) return
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const wake of waiters) wake(touched)
  }

  /** Wakes workers: repos to fetch or handles to look up are waiting. */
  announceWork(): void {
    const waiters = [...this.#workers]
    this.#workers.clear()
    for (const wake of waiters) wake()
  }

  /** Resolves when work is announced, or after a while, or when the signal aborts. */
  async awaitWork(delay: Delay, maxMs: number, signal: AbortSignal): Promise<void> {
    const timeout = new AbortController()
    let wake = (): void => undefined
    const announced = new Promise<void>((resolve) => {
      wake = resolve
      this.#workers.add(resolve)
    })
    await Promise.race([
      announced,
      delay(maxMs, AbortSignal.any([signal, timeout.signal])).catch(() => undefined),
    ])
    timeout.abort()
    this.#workers.delete(wake)
  }

  /** Resolves with what the next committed change touched. */
  changed(signal?: AbortSignal): Promise<ReadonlySet<string>> {
    signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const wake = (touched: ReadonlySet<string>): void => {
        signal?.removeEventListener('abort', abort)
        resolve(touched)
      }
      const abort = (): void => {
        this.#waiters.delete(wake)
        reject(signal?.reason as Error)
      }
      this.#waiters.add(wake)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /** Starts working off sweeps, one bounded transaction at a time, with batches in between. */
  startSweeping(): void {
    if (this.#sweeping !== undefined || this.#closed) return
    this.#sweeping = this.#sweep().finally(() => {
      this.#sweeping = undefined
    })
    // Whoever needs the outcome awaits `settle`; a store failure there is met again by the next batch.
    this.#sweeping.catch(() => undefined)
  }

  /** Resolves when no sweep is pending. @throws {StoreFailureError} */
  async settle(): Promise<void> {
    await this.#sweeping
    await this.#sweep()
  }

  async #sweep(): Promise<void> {
    let turned = performance.now()
    for (;;) {
      const { more, touched } = await this.transact((tx, context) => sweepStep(context, tx))
      this.announce(touched)
      if (!more) return
      // An embedded store answers at once: in a long sweep everything else has its turn in between.
      if (performance.now() - turned < SWEEP_TURN_MS) continue
      await setImmediate()
      turned = performance.now()
    }
  }

  /** Finishes the running transaction and refuses further ones. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#sweeping?.catch(() => undefined)
    await this.#tail
  }
}
