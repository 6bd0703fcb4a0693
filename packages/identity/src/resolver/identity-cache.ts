import { LRUCache } from 'lru-cache'

/** A good answer in a compact text form. */
export interface CachedAnswer {
  /** When it was fetched, by the resolver's clock. */
  readonly fetchedAtMs: number
  readonly text: string
}

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

/** A cache in memory that keeps the most recently used answers; about 300 bytes each. */
export function createMemoryIdentityCache(maxEntries: number): IdentityCache {
  const answers = new LRUCache<string, CachedAnswer>({ max: maxEntries })
  return {
    get: (key) => answers.get(key),
    set: (key, answer) => {
      answers.set(key, answer)
    },
    delete: (key) => {
      answers.delete(key)
    },
  }
}
