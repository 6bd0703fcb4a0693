export interface KeyedQueueOptions {
  /** Keys worked on at the same time. @defaultValue 64 */
  readonly concurrency?: number
  /** Tasks waiting or running above which {@link KeyedQueue.push} makes its caller wait. @defaultValue 10 000 */
  readonly maxItems?: number
  /** Bytes waiting or running above which {@link KeyedQueue.push} makes its caller wait. @defaultValue 64 MiB */
  readonly maxBytes?: number
}

interface Item {
  readonly bytes: number
  readonly task: () => Promise<void>
}

interface Lane {
  readonly items: Item[]
  running: boolean
}

/**
 * Runs tasks of one key strictly one after the other, in the order they were pushed, and tasks of different keys at
 * the same time. Bounded in items and bytes: a full queue makes the producer wait, it never drops and never grows.
 *
 * A task that rejects fails the whole queue: nothing more is begun, later pushes and {@link idle} reject with its error.
 */
export class KeyedQueue {
  private readonly concurrency: number
  private readonly maxItems: number
  private readonly maxBytes: number
  private readonly lanes = new Map<string, Lane>()
  private readonly ready: Lane[] = []
  private readonly keys = new Map<Lane, string>()
  private running = 0
  private items = 0
  private bytes = 0
  private failure: { readonly error: unknown } | undefined
  private waiting: (() => void)[] = []

  constructor({
    concurrency = 64,
    maxItems = 10_000,
    maxBytes = 64 * 1024 * 1024,
  }: KeyedQueueOptions = {}) {
    if (concurrency < 1) throw new RangeError('concurrency must be positive')
    if (maxItems < 1) throw new RangeError('maxItems must be positive')
    if (maxBytes < 1) throw new RangeError('maxBytes must be positive')
    this.concurrency = concurrency
    this.maxItems = maxItems
    this.maxBytes = maxBytes
  }

  /** Tasks and bytes held now. */
  get size(): { readonly items: number; readonly bytes: number } {
    return { items: this.items, bytes: this.bytes }
  }

  /**
   * Adds a task behind those of the same key, and resolves once there is room for the next one.
   *
   * @param bytes memory the task keeps alive.
   */
  async push(key: string, bytes: number, task: () => Promise<void>): Promise<void> {
    this.throwIfFailed()
    this.items++
    this.bytes += bytes
    let lane = this.lanes.get(key)
    if (lane === undefined) {
      lane = { items: [], running: false }
      this.lanes.set(key, lane)
      this.keys.set(lane, key)
    }
    lane.items.push({ bytes, task })
    if (!lane.running && lane.items.length === 1) this.ready.push(lane)
    this.fill()
    while (
      this.failure === undefined &&
      (this.items >= this.maxItems || this.bytes >= this.maxBytes)
    ) {
      await this.changed()
    }
    this.throwIfFailed()
  }

  /** Resolves when nothing is left to do; after a failure, rejects when no task is running any more. */
  async idle(): Promise<void> {
    while (this.running > 0 || (this.items > 0 && this.failure === undefined)) await this.changed()
    this.throwIfFailed()
  }

  /** Drops every task that has not begun. */
  clear(): void {
    for (const lane of this.lanes.values()) {
      for (const { bytes } of lane.items.splice(0)) {
        this.items--
        this.bytes -= bytes
      }
      if (!lane.running) this.forget(lane)
    }
    this.ready.length = 0
    this.wake()
  }

  private fill(): void {
    while (this.running < this.concurrency) {
      const lane = this.ready.shift()
      if (lane === undefined) return
      this.running++
      lane.running = true
      void this.work(lane)
    }
  }

  /** One task, then to the back of the line: a busy account does not starve the others. */
  private async work(lane: Lane): Promise<void> {
    const item = lane.items.shift()
    if (item !== undefined) {
      try {
        await item.task()
      } catch (error) {
        this.failure ??= { error }
      }
      this.items--
      this.bytes -= item.bytes
    }
    lane.running = false
    this.running--
    if (this.failure === undefined) {
      if (lane.items.length > 0) this.ready.push(lane)
      else this.forget(lane)
      this.fill()
    }
    this.wake()
  }

  private wake(): void {
    const { waiting } = this
    this.waiting = []
    for (const resolve of waiting) resolve()
  }

  private forget(lane: Lane): void {
    const key = this.keys.get(lane)
    this.keys.delete(lane)
    if (key !== undefined) this.lanes.delete(key)
  }

  private changed(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  private throwIfFailed(): void {
    if (this.failure !== undefined) throw this.failure.error
  }
}
