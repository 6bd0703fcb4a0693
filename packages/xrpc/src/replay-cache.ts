/** Remembers nonces until their tokens expire. A shared store makes several processes one verifier. */
export interface ReplayCache {
  /** Remembers `key` until `expiresAtMs`. False when it is already remembered. */
  add(key: string, expiresAtMs: number): boolean | Promise<boolean>
}

/** Options of {@link createReplayCache}. */
export interface ReplayCacheOptions {
  /**
   * Most nonces remembered at once. When full of tokens still valid, the oldest is forgotten.
   * @defaultValue 100,000
   */
  readonly maxEntries?: number
  /** Milliseconds since 1970. @defaultValue `Date.now` */
  readonly now?: () => number
}

const MAX_ENTRIES = 100_000
/** Entries looked at for expiry each time one is added, so that no call pays for a sweep of all. */
const SWEEP_PER_ADD = 4

/** Remembers nonces in memory. */
export function createReplayCache(options: ReplayCacheOptions = {}): ReplayCache {
  const { maxEntries = MAX_ENTRIES, now = Date.now } = options
  const expiries = new Map<string, number>()
  let sweep: MapIterator<[string, number]> = expiries.entries()

  function sweepSome(time: number): void {
    for (let i = 0; i < SWEEP_PER_ADD; i++) {
      const { done, value } = sweep.next()
      if (done === true) {
        sweep = expiries.entries()
        return
      }
      if (value[1] <= time) expiries.delete(value[0])
    }
  }

  return {
    add(key, expiresAtMs) {
      const time = now()
      sweepSome(time)
      const known = expiries.get(key)
      if (known !== undefined && known > time) return false
      expiries.delete(key)
      if (expiries.size >= maxEntries) {
        const oldest = expiries.keys().next()
        if (oldest.done !== true) expiries.delete(oldest.value)
      }
      expiries.set(key, expiresAtMs)
      return true
    },
  }
}
