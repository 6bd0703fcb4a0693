/** Most callers remembered at once; when full, the one seen longest ago is forgotten. */
const MAX_CALLERS = 10_000

/** Who is calling, as far as an address tells: an IPv4 address, or the 64 bits of an IPv6 network. */
export function callerOf(ip: string | undefined): string {
  if (ip === undefined) return 'unknown'
  const [address = ''] = ip.toLowerCase().split('%')
  const mapped = /^::ffff:([0-9.]+)$/.exec(address)?.[1]
  if (mapped !== undefined || !address.includes(':')) return mapped ?? address
  const [head = '', tail] = address.split('::')
  const groups = head.split(':').filter((group) => group !== '')
  if (tail !== undefined) {
    const rest = tail.split(':').filter((group) => group !== '')
    while (groups.length + rest.length < 8) groups.push('0')
    groups.push(...rest)
  }
  return groups.slice(0, 4).join(':')
}

/** Counts calls per caller in a fixed window. */
export class RateLimit {
  readonly #limit: number
  readonly #windowMs: number
  readonly #now: () => number
  readonly #windows = new Map<string, { readonly startedAtMs: number; count: number }>()

  constructor(options: {
    readonly limit: number
    readonly windowMs: number
    readonly now: () => number
  }) {
    this.#limit = options.limit
    this.#windowMs = options.windowMs
    this.#now = options.now
  }

  /** The seconds to wait when there is no call left, else `undefined`. Spends nothing. */
  wait(caller: string): number | undefined {
    const window = this.#windows.get(caller)
    if (window === undefined || window.count < this.#limit) return undefined
    const leftMs = window.startedAtMs + this.#windowMs - this.#now()
    return leftMs > 0 ? Math.ceil(leftMs / 1000) : undefined
  }

  /** Spends one call; gives the seconds to wait when there is none left, else `undefined`. */
  take(caller: string): number | undefined {
    const now = this.#now()
    let window = this.#windows.get(caller)
    if (window === undefined || now >= window.startedAtMs + this.#windowMs) {
      window = { startedAtMs: now, count: 0 }
    }
    this.#windows.delete(caller)
    this.#windows.set(caller, window)
    if (this.#windows.size > MAX_CALLERS) {
      const [oldest] = this.#windows.keys()
      if (oldest !== undefined) this.#windows.delete(oldest)
    }
    const seconds = this.wait(caller)
    if (seconds === undefined) window.count++
    return seconds
  }
}
