interface Entry<V> {
  value: V
  /** Asked for since it was added or last passed over. */
  used: boolean
}

/** Entries one addition passes over before it removes the next one, marked or not: additions take bounded time. */
const MAX_CHANCES = 16

/**
 * A map that keeps at most so many entries, and parts with the ones not asked for first. Asking only marks an entry;
 * the mark saves it once when its turn to leave comes ("second chance"). Takes memory as it fills, unlike `lru-cache`,
 * which takes it all when it is made: a tenth of a second for a resolver.
 */
export class LruMap<V> {
  readonly #max: number
  readonly #entries = new Map<string, Entry<V>>()
  /** Goes around: what it passes over is added again behind it. Kept, since a new one would walk over every gap. */
  #oldest: MapIterator<[string, Entry<V>]> | undefined

  constructor(max: number) {
    this.#max = max
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    entry.used = true
    return entry.value
  }

  /** As {@link get}, without a mark. */
  peek(key: string): V | undefined {
    return this.#entries.get(key)?.value
  }

  set(key: string, value: V): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) {
      entry.value = value
      entry.used = true
      return
    }
    if (this.#entries.size >= this.#max) this.#evict()
    this.#entries.set(key, { value, used: false })
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  #evict(): void {
    let chances = MAX_CHANCES
    while (this.#entries.size >= this.#max) {
      this.#oldest ??= this.#entries.entries()
      const next = this.#oldest.next()
      if (next.done === true) {
        this.#oldest = undefined
        continue
      }
      const [key, entry] = next.value
      this.#entries.delete(key)
      if (entry.used && chances-- > 0) {
        entry.used = false
        this.#entries.set(key, entry)
      }
    }
  }
}
