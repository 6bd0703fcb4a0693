/** A bounded queue between one producer and one consumer that takes whatever has gathered. */
export class EventQueue<T> {
  readonly #capacity: number
  #items: T[] = []
  #ended = false
  #failure: { readonly error: unknown } | undefined
  #wakeConsumer: (() => void) | undefined
  #wakeProducer: (() => void) | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Adds an item; resolves when there is room for the next one. */
  async push(item: T): Promise<void> {
    this.#items.push(item)
    this.#wakeConsumer?.()
    this.#wakeConsumer = undefined
    if (this.#items.length >= this.#capacity)
      await new Promise<void>((resolve) => {
        this.#wakeProducer = resolve
      })
  }

  /** No more items; a failure is thrown after the last item was taken. */
  end(failure?: { readonly error: unknown }): void {
    this.#ended = true
    this.#failure = failure
    this.#wakeConsumer?.()
    this.#wakeConsumer = undefined
  }

  /** Everything gathered, at most `limit` items, waiting for at least one; undefined at the end. */
  async take(limit: number): Promise<T[] | undefined> {
    while (this.#items.length === 0) {
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wakeConsumer = resolve
      })
    }
    const taken = this.#items.length <= limit ? this.#items.splice(0) : this.#items.splice(0, limit)
    this.#wakeProducer?.()
    this.#wakeProducer = undefined
    return taken
  }

  /** Lets a blocked producer go, e.g. when the consumer gives up. */
  release(): void {
    this.#wakeProducer?.()
    this.#wakeProducer = undefined
  }
}
