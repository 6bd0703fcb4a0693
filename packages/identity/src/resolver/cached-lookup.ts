import { LRUCache } from 'lru-cache'
import { IdentityError } from '../errors.ts'
import type { IdentityCache } from './identity-cache.ts'
import type { ResolutionSource, ResolveOptions } from './identity-resolver.ts'
import { SingleFlight } from './single-flight.ts'

/** How long answers are kept, in milliseconds. */
export interface CacheTtls {
  /** A good answer is given without asking again. */
  readonly freshMs: number
  /** A good answer is given while it is asked for again, and when asking fails. Counted from the fetch. */
  readonly staleMs: number
  /** "Not found" and malformed answers are repeated. */
  readonly negativeMs: number
  /** After a failure to ask, asking is not tried again. */
  readonly failureMs: number
  /** Forced refreshes of one key are at least this far apart. */
  readonly minRefreshMs: number
}

/**
 * What a lookup tells its owner. `cache-failed`, beside another outcome: the second tier could not be read or written,
 * and was done without.
 */
export type LookupOutcome = 'hit' | 'stale' | 'negative-hit' | 'fetched' | 'failed' | 'cache-failed'

/** An answer and how it was come by. */
export interface Looked<T> {
  readonly value: T
  readonly source: ResolutionSource
  readonly ageMs: number
}

interface Entry<T> {
  readonly fetchedAtMs: number
  /** Last time it was asked for; later than `fetchedAtMs` when asking failed since. */
  readonly attemptedAtMs: number
  readonly value?: T
  readonly error?: IdentityError
}

/** Options of {@link CachedLookup}. */
export interface CachedLookupOptions<T> {
  /** Throws when a key is not worth asking for; its error is not remembered. */
  readonly check: (key: string) => void
  readonly fetch: (key: string, signal: AbortSignal) => Promise<T>
  readonly ttls: CacheTtls
  /** Answers kept ready to use, and errors. */
  readonly maxHotEntries: number
  /** Where good answers go that are not ready to use; none when absent. */
  readonly cold?: IdentityCache | undefined
  readonly pack: (value: T) => string
  readonly unpack: (key: string, text: string) => T
  readonly now: () => number
  readonly onOutcome?:
    ((key: string, outcome: LookupOutcome, error?: IdentityError) => void) | undefined
}

/** A lookup over the network with a bounded cache, single flight, stale-while-revalidate and negative answers. */
export class CachedLookup<T> {
  readonly #options: CachedLookupOptions<T>
  readonly #entries: LRUCache<string, Entry<T>>
  readonly #flights = new SingleFlight<Looked<T>>()

  constructor(options: CachedLookupOptions<T>) {
    this.#options = options
    this.#entries = new LRUCache({ max: options.maxHotEntries })
  }

  /** From the cache when it may be, else from the network. */
  async get(key: string, options?: ResolveOptions): Promise<Looked<T>> {
    return this.cached(key, options) ?? this.ask(key, options)
  }

  /**
   * What the cache may answer, without a promise for it; `undefined` when the network must be asked.
   * @throws {IdentityError} an error that is remembered
   */
  cached(key: string, options?: ResolveOptions): Looked<T> | undefined {
    const { now, ttls } = this.#options
    const entry = this.#entries.get(key) ?? this.#warm(key)
    if (entry === undefined) return undefined
    const nowMs = now()
    const refresh = options?.refresh === true && nowMs - entry.attemptedAtMs >= ttls.minRefreshMs
    return refresh ? undefined : this.#fromCache(key, entry, nowMs)
  }

  /** From the network, joining a fetch that is under way. */
  async ask(key: string, options?: ResolveOptions): Promise<Looked<T>> {
    this.#options.check(key)
    return this.#flights.join(key, options?.signal, (signal) => this.#fetch(key, signal))
  }

  /** What is cached, whatever its age; `undefined` for nothing or an error. */
  peek(key: string): { readonly value: T; readonly fetchedAtMs: number } | undefined {
    const entry = this.#entries.peek(key) ?? this.#warm(key)
    return entry?.value === undefined
      ? undefined
      : { value: entry.value, fetchedAtMs: entry.fetchedAtMs }
  }

  /** When the key was last asked for; `undefined` when that is not known. */
  attemptedAtMs(key: string): number | undefined {
    return this.#entries.peek(key)?.attemptedAtMs
  }

  /** Forgets a key, and keeps a fetch that is under way from being remembered. */
  forget(key: string): void {
    this.#entries.delete(key)
    this.#options.cold?.delete(key)
    this.#flights.detach(key)
  }

  /** Makes an answer of the second tier ready to use. */
  #warm(key: string): Entry<T> | undefined {
    const { cold, unpack, now } = this.#options
    return this.#spared(key, () => {
      const answer = cold?.get(key)
      // A time ahead of this clock cannot be judged (the cache may be older than this process).
      if (answer === undefined || answer.fetchedAtMs > now()) return undefined
      const { fetchedAtMs, text } = answer
      const entry = { fetchedAtMs, attemptedAtMs: fetchedAtMs, value: unpack(key, text) }
      this.#entries.set(key, entry)
      return entry
    })
  }

  /** Work on the second tier, without which lookups can do. */
  #spared<R>(key: string, work: () => R): R | undefined {
    try {
      return work()
    } catch {
      this.#options.onOutcome?.(key, 'cache-failed')
      return undefined
    }
  }

  #fromCache(key: string, entry: Entry<T>, nowMs: number): Looked<T> | undefined {
    const { ttls, onOutcome } = this.#options
    if (entry.error !== undefined) {
      const ttlMs = entry.error.family === 'CouldNotAsk' ? ttls.failureMs : ttls.negativeMs
      if (nowMs - entry.attemptedAtMs >= ttlMs) return undefined
      onOutcome?.(key, 'negative-hit', entry.error)
      throw entry.error
    }
    if (entry.value === undefined) return undefined
    const ageMs = nowMs - entry.fetchedAtMs
    if (ageMs < ttls.freshMs) {
      onOutcome?.(key, 'hit')
      return { value: entry.value, source: 'cache', ageMs }
    }
    if (ageMs >= ttls.staleMs) return undefined
    if (nowMs - entry.attemptedAtMs >= ttls.failureMs) this.#revalidate(key)
    onOutcome?.(key, 'stale')
    return { value: entry.value, source: 'stale', ageMs }
  }

  #revalidate(key: string): void {
    // The outcome goes to the cache and to onOutcome; there is nobody else to tell.
    this.#flights.join(key, undefined, (signal) => this.#fetch(key, signal)).catch(() => undefined)
  }

  async #fetch(key: string, signal: AbortSignal): Promise<Looked<T>> {
    const { fetch, now, onOutcome, cold, pack } = this.#options
    try {
      const value = await fetch(key, signal)
      const nowMs = now()
      if (this.#flights.isCurrent(key, signal)) {
        this.#entries.set(key, { fetchedAtMs: nowMs, attemptedAtMs: nowMs, value })
        this.#spared(key, () => cold?.set(key, { fetchedAtMs: nowMs, text: pack(value) }))
      }
      onOutcome?.(key, 'fetched')
      return { value, source: 'network', ageMs: 0 }
    } catch (error) {
      if (signal.aborted || !(error instanceof IdentityError)) throw error
      onOutcome?.(key, 'failed', error)
      return this.#afterFailure(key, error, signal)
    }
  }

  /** A good answer outlives a failure to ask, until it is too old; it does not outlive a definite "no". */
  #afterFailure(key: string, error: IdentityError, signal: AbortSignal): Looked<T> {
    const { now, ttls } = this.#options
    const nowMs = now()
    const old = this.#entries.peek(key) ?? this.#warm(key)
    const ageMs = nowMs - (old?.fetchedAtMs ?? 0)
    const remember = this.#flights.isCurrent(key, signal)
    if (old?.value !== undefined && error.family === 'CouldNotAsk' && ageMs < ttls.staleMs) {
      if (remember) this.#entries.set(key, { ...old, attemptedAtMs: nowMs })
      return { value: old.value, source: 'stale', ageMs }
    }
    if (remember) {
      this.#entries.set(key, { fetchedAtMs: nowMs, attemptedAtMs: nowMs, error })
      if (error.family !== 'CouldNotAsk') this.#options.cold?.delete(key)
    }
    throw error
  }
}
