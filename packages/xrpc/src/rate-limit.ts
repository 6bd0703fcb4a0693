import type { CallContext } from './call-context.ts'
import { RateLimitedError } from './errors.ts'

/** A counter after points were taken. */
export interface RateLimitCount {
  /** Points taken in this window, these included. */
  readonly used: number
  /** End of the window in milliseconds since 1970. */
  readonly resetsAtMs: number
}

/** Counts points in fixed windows. A shared one (Redis, say) makes several processes one limiter. */
export interface RateLimitStore {
  /** Adds points to a key's window, starting one of this length when none runs. */
  add(key: string, points: number, windowMs: number): RateLimitCount | Promise<RateLimitCount>
}

/** Options of {@link createRateLimit}. */
export interface RateLimitOptions<C extends CallContext = CallContext> {
  /** Tells limits apart in a store. */
  readonly name: string
  /** Points per window. */
  readonly points: number
  readonly windowSeconds: number
  /**
   * Whose window a call counts in; `undefined` exempts it.
   * @defaultValue the caller's address, of IPv6 the network (/64) it is in; callers without one share a window
   */
  readonly key?: (call: C) => string | undefined
  /** Points a call takes. @defaultValue 1 */
  readonly cost?: number | ((call: C) => number)
  /** @defaultValue one in memory, of this limit alone */
  readonly store?: RateLimitStore
  /** Milliseconds since 1970. @defaultValue `Date.now` */
  readonly now?: () => number
}

/** A limit on calls. Methods that are given the same one share its windows. */
export interface RateLimit<C extends CallContext = CallContext> {
  /**
   * Takes the points of a call.
   * @throws {RateLimitedError} when the window is used up
   */
  consume(call: C): Promise<RateLimitState | undefined>
}

/** How a limit stands after a call; what the `ratelimit-*` headers say. */
export interface RateLimitState {
  readonly limit: number
  readonly remaining: number
  /** Seconds since 1970. */
  readonly reset: number
  readonly windowSeconds: number
}

const IPV6_GROUPS = 8

/** Makes a limit. */
export function createRateLimit<C extends CallContext = CallContext>(
  options: RateLimitOptions<C>,
): RateLimit<C> {
  const { name, points: limit, windowSeconds, now = Date.now } = options
  const { store = createMemoryRateLimitStore({ now }), cost = 1 } = options
  const { key: keyOf = (call: C) => networkOf(call.request.ip) } = options
  if (!(limit > 0) || !(windowSeconds > 0)) throw new RangeError('a limit must be above zero')
  return {
    async consume(call) {
      const key = keyOf(call)
      if (key === undefined) return undefined
      const points = typeof cost === 'number' ? cost : cost(call)
      const count = await store.add(`${name} ${key}`, points, windowSeconds * 1000)
      const reset = Math.ceil(count.resetsAtMs / 1000)
      const remaining = Math.max(0, limit - count.used)
      const state = { limit, remaining, reset, windowSeconds }
      if (count.used > limit) {
        throw new RateLimitedError('too many requests', {
          retryAfterSeconds: Math.max(1, (count.resetsAtMs - now()) / 1000),
          headers: rateLimitHeaders(state),
        })
      }
      return state
    },
  }
}

/** What one caller cannot change at will: an IPv4 address, or the half of an IPv6 address that names its network. */
export function networkOf(ip: string | undefined): string {
  if (ip === undefined) return 'unknown'
  const mapped = /^::ffff:([0-9.]+)$/i.exec(ip)?.[1]
  if (mapped !== undefined) return mapped
  if (!ip.includes(':')) return ip
  const [address = ''] = ip.toLowerCase().split('%')
  const [head = '', tail = ''] = address.split('::')
  const [start, end] = [head, tail].map((part) => (part === '' ? [] : part.split(':')))
  const known = [...(start ?? []), ...(end ?? [])].length
  const zeros = Array.from({ length: Math.max(0, IPV6_GROUPS - known) }, () => '0')
  const groups = [...(start ?? []), ...zeros, ...(end ?? [])].slice(0, IPV6_GROUPS / 2)
  return groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')
}

/** The headers that tell a caller how a limit stands. */
export function rateLimitHeaders(state: RateLimitState): Readonly<Record<string, string>> {
  return {
    'ratelimit-limit': String(state.limit),
    'ratelimit-remaining': String(state.remaining),
    'ratelimit-reset': String(state.reset),
    'ratelimit-policy': `${state.limit};w=${state.windowSeconds}`,
  }
}

/** Takes the points of all limits, giving the headers of the one that is closest to its end. */
export async function consumeAll<C extends CallContext>(
  limits: readonly RateLimit<C>[],
  call: C,
): Promise<Readonly<Record<string, string>> | undefined> {
  let tightest: RateLimitState | undefined
  for (const limit of limits) {
    const state = await limit.consume(call)
    if (state === undefined) continue
    if (tightest === undefined || state.remaining < tightest.remaining) tightest = state
  }
  return tightest === undefined ? undefined : rateLimitHeaders(tightest)
}

/** Options of {@link createMemoryRateLimitStore}. */
export interface MemoryRateLimitStoreOptions {
  /**
   * Most windows held at once. When full of running ones, the oldest is forgotten, which is to its caller's advantage.
   * @defaultValue 100,000
   */
  readonly maxEntries?: number
  /** Milliseconds since 1970. @defaultValue `Date.now` */
  readonly now?: () => number
}

const MAX_ENTRIES = 100_000
/** Windows looked at for expiry at each call, so that none pays for a sweep of all. */
const SWEEP_PER_ADD = 4

/** Counts in memory, bounded. */
export function createMemoryRateLimitStore(
  options: MemoryRateLimitStoreOptions = {},
): RateLimitStore {
  const { maxEntries = MAX_ENTRIES, now = Date.now } = options
  const windows = new Map<string, { used: number; resetsAtMs: number }>()
  let sweep = windows.entries()

  function sweepSome(time: number): void {
    for (let i = 0; i < SWEEP_PER_ADD; i++) {
      const { done, value } = sweep.next()
      if (done === true) {
        sweep = windows.entries()
        return
      }
      if (value[1].resetsAtMs <= time) windows.delete(value[0])
    }
  }

  return {
    add(key, points, windowMs) {
      const time = now()
      sweepSome(time)
      const known = windows.get(key)
      if (known !== undefined && known.resetsAtMs > time) {
        known.used += points
        return known
      }
      windows.delete(key)
      if (windows.size >= maxEntries) {
        const oldest = windows.keys().next()
        if (oldest.done !== true) windows.delete(oldest.value)
      }
      const started = { used: points, resetsAtMs: time + windowMs }
      windows.set(key, started)
      return started
    },
  }
}
