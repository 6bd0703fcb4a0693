import { LRUCache } from 'lru-cache'

/** A good answer in a compact text form. */
export interface CachedAnswer {
  /** When it was fetched, by the resolver's clock. */
  readonly fetchedAtMs: number
  readonly text: string
}

const TIME_RADIX = 36

/**
 * The large, second tier of a resolver's cache: good answers only, keyed by DID or handle. It is asked when an answer
 * is not among the few thousand most recent ones, which are kept ready to use. Synchronous, and trusted: what comes
 * out is not verified again. An entry may be dropped at any time.
 */
export interface IdentityCache {
  get(key: string): CachedAnswer | undefined
  set(key: string, answer: CachedAnswer): void
  delete(key: string): void
}

/** A cache in memory that keeps the most recently used answers; under 300 bytes for a plain account. */
export function createMemoryIdentityCache(maxEntries: number): IdentityCache {
  // One string an answer: an object and its number would cost as much again.
  // Bounded by size, not number: memory is taken as it fills, where `max` takes it all at once, 100 ms for a million.
  const answers = new LRUCache<string, string>({ maxSize: maxEntries, sizeCalculation: () => 1 })
  return {
    get(key) {
      const answer = answers.get(key)
      if (answer === undefined) return undefined
      const space = answer.indexOf(' ')
      const fetchedAtMs = Number.parseInt(answer.slice(0, space), TIME_RADIX)
      return { fetchedAtMs, text: answer.slice(space + 1) }
    },
    set(key, { fetchedAtMs, text }) {
      // join, not a template: that would keep its parts and glue them later.
      answers.set(key, [Math.trunc(fetchedAtMs).toString(TIME_RADIX), text].join(' '))
    },
    delete(key) {
      answers.delete(key)
    },
  }
}
