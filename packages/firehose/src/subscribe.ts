import type { Delivery } from './consume.ts'
import { runStream } from './run.ts'
import type { StreamEvent } from './stream-event.ts'
import type { StreamOptions } from './stream-options.ts'
import { abortError } from './timer.ts'

export interface SubscribeReposOptions extends StreamOptions {
  /**
   * When an event counts as handled: `next` – when the loop asks for the one after it; `manual` – when
   * {@link EventSubscription.acknowledge} names it or one delivered later.
   *
   * @defaultValue 'next'
   */
  readonly acknowledge?: 'next' | 'manual'
}

/** Events of a firehose, as a loop. */
export interface EventSubscription extends AsyncGenerator<StreamEvent, void, void> {
  /** Everything delivered up to and including this event is handled. For `acknowledge: 'manual'`. */
  acknowledge(event: StreamEvent): void
}

/**
 * Follows a firehose as a loop:
 *
 * ```ts
 * for await (const event of subscribeRepos({ service, cursor, verify, onIssue, signal })) { … }
 * ```
 *
 * - Events of one account arrive in `seq` order. Events of different accounts may interleave, because a slow identity
 *   lookup of one does not hold up the others; with `concurrency: 1` everything arrives in `seq` order.
 * - Delivery is at-least-once. The cursor a store sees is the highest `seq` below every unhandled event.
 * - Nothing happens before the first `next()`; leaving the loop closes the socket and stores the cursor. The event
 *   whose loop body was left by `break` or an exception is not counted as handled.
 *
 * @throws {FutureCursorError} when the service does not know the cursor yet.
 * @throws the signal's reason never: an abort ends the loop.
 */
export function subscribeRepos(options: SubscribeReposOptions): EventSubscription {
  return new Subscription(options)
}

class Subscription implements EventSubscription {
  private readonly options: SubscribeReposOptions
  private readonly stop = new AbortController()
  private readonly waiting: { readonly delivery: Delivery; readonly taken: () => void }[] = []
  private readonly unacknowledged: Delivery[] = []
  private reader:
    | {
        readonly resolve: (result: IteratorResult<StreamEvent, void>) => void
        readonly reject: (error: unknown) => void
      }
    | undefined
  private running: Promise<void> | undefined
  private outcome: { readonly error?: unknown } | undefined

  constructor(options: SubscribeReposOptions) {
    this.options = options
  }

  acknowledge(event: StreamEvent): void {
    const index = this.unacknowledged.findIndex((delivery) => delivery.event === event)
    for (const { finish } of this.unacknowledged.splice(0, index + 1)) finish()
  }

  next(): Promise<IteratorResult<StreamEvent, void>> {
    if (this.reader !== undefined) return Promise.reject(new TypeError('one next() at a time'))
    if (this.options.acknowledge !== 'manual') {
      for (const { finish } of this.unacknowledged.splice(0)) finish()
    }
    const first = this.waiting.shift()
    if (first !== undefined) {
      first.taken()
      return Promise.resolve(this.give(first.delivery))
    }
    if (this.outcome !== undefined) return this.settled(this.outcome)
    this.running ??= this.run()
    return new Promise((resolve, reject) => {
      this.reader = { resolve, reject }
    })
  }

  async return(): Promise<IteratorResult<StreamEvent, void>> {
    this.stop.abort()
    await this.running
    return { value: undefined, done: true }
  }

  async throw(error: unknown): Promise<IteratorResult<StreamEvent, void>> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  private async run(): Promise<void> {
    const { signal } = this.options
    const combined =
      signal === undefined ? this.stop.signal : AbortSignal.any([signal, this.stop.signal])
    let outcome: { readonly error?: unknown } = {}
    try {
      await runStream({ ...this.options, signal: combined }, (delivery, ended) =>
        this.offer(delivery, ended),
      )
    } catch (error) {
      outcome = { error }
    }
    this.outcome = outcome
    const { reader } = this
    this.reader = undefined
    if (reader === undefined) return
    if ('error' in outcome) {
      this.outcome = {}
      reader.reject(outcome.error)
    } else reader.resolve({ value: undefined, done: true })
  }

  /** Hands an event to the loop; resolves when the loop took it. */
  private offer(delivery: Delivery, ended: AbortSignal): Promise<void> {
    if (ended.aborted) return Promise.reject(abortError(ended))
    const { reader } = this
    if (reader !== undefined) {
      this.reader = undefined
      reader.resolve(this.give(delivery))
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        this.waiting.splice(this.waiting.indexOf(waiting), 1)
        reject(abortError(ended))
      }
      ended.addEventListener('abort', aborted, { once: true })
      const taken = (): void => {
        ended.removeEventListener('abort', aborted)
        resolve()
      }
      const waiting = { delivery, taken }
      this.waiting.push(waiting)
    })
  }

  private give(delivery: Delivery): IteratorResult<StreamEvent, void> {
    this.unacknowledged.push(delivery)
    return { value: delivery.event, done: false }
  }

  private settled(outcome: {
    readonly error?: unknown
  }): Promise<IteratorResult<StreamEvent, void>> {
    if ('error' in outcome) {
      const { error } = outcome
      this.outcome = {}
      return Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
    return Promise.resolve({ value: undefined, done: true })
  }
}
