import { setImmediate } from 'node:timers/promises'

import type { SourcedEvent } from './event.ts'

/** Record bytes that may wait in a queue. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024
/** Turns of the event loop a consumer spends on gathering. */
const MAX_GATHERING_TURNS = 16

/** A bounded queue of events between one producer and one consumer that takes whatever has gathered. */
export class EventQueue {
  readonly #capacity: number
  #items: SourcedEvent[] = []
  #bytes = 0
  #ended = false
  #failure: { readonly error: unknown } | undefined
  #wakeConsumer: (() => void) | undefined
  #wakeProducer: (() => void) | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Adds an event; resolves when there is room for the next one. */
  async push(item: SourcedEvent): Promise<void> {
    this.#items.push(item)
    this.#bytes += recordBytes(item)
    this.#wakeConsumer?.()
    this.#wakeConsumer = undefined
    if (this.#items.length >= this.#capacity || this.#bytes >= MAX_WAITING_BYTES)
      await new Promise<void>((resolve) => {
        this.#wakeProducer = resolve
      })
  }

  /** No more events; a failure is thrown after the last event was taken. */
  end(failure?: { readonly error: unknown }): void {
    this.#ended = true
    this.#failure = failure
    this.#wakeConsumer?.()
    this.#wakeConsumer = undefined
  }

  /** Everything waiting, at most `limit` events, as soon as there is one; undefined at the end. */
  async take(limit: number): Promise<SourcedEvent[] | undefined> {
    if (!(await this.#some())) return undefined
    const taken = this.#items.length <= limit ? this.#items.splice(0) : this.#items.splice(0, limit)
    for (const item of taken) this.#bytes -= recordBytes(item)
    this.#wakeProducer?.()
    this.#wakeProducer = undefined
    return taken
  }

  /**
   * The same for a consumer that keeps the producer from running while it works: the event loop turns while each turn
   * brings more and fewer than `limit` wait, for a few turns. Without, every batch would be of one event.
   */
  async gather(limit: number): Promise<SourcedEvent[] | undefined> {
    if (!(await this.#some())) return undefined
    let before = 0
    for (let turn = 0; turn < MAX_GATHERING_TURNS; turn++) {
      if (this.#ended || this.#items.length >= limit || this.#items.length === before) break
      before = this.#items.length
      await setImmediate()
    }
    return this.take(limit)
  }

  /**
   * What a producer pushes until it ends the queue, in order. It is given a signal that aborts when the reader leaves, and
   * has returned when the generator has.
   */
  async *produced(
    produce: (signal: AbortSignal) => Promise<void>,
  ): AsyncGenerator<SourcedEvent, void, void> {
    const stop = new AbortController()
    const producing = produce(stop.signal).then(
      () => {
        this.end()
      },
      (error: unknown) => {
        this.end({ error })
      },
    )
    try {
      for (;;) {
        const events = await this.take(this.#capacity)
        if (events === undefined) return
        yield* events
      }
    } finally {
      stop.abort()
      this.release()
      await producing
    }
  }

  /** Lets a blocked producer go, e.g. when the consumer gives up. */
  release(): void {
    this.#wakeProducer?.()
    this.#wakeProducer = undefined
  }

  /** Waits for the first event; false at the end. */
  async #some(): Promise<boolean> {
    while (this.#items.length === 0) {
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#ended) return false
      await new Promise<void>((resolve) => {
        this.#wakeConsumer = resolve
      })
    }
    return true
  }
}

function recordBytes(event: SourcedEvent): number {
  if (event.type !== 'commit') return 0
  let bytes = 0
  for (const { record } of event.ops) bytes += record?.length ?? 0
  return bytes
}
