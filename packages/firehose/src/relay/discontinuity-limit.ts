import type { Clock } from '../timer.ts'

/** Times an account may break its chain at once. Losing events, moving and being restored are rare. */
const BURST = 10
/** After this long, one more time, in milliseconds. */
const REFILL_MS = 360_000
/** Accounts remembered; when full, the one whose chain broke longest ago is forgotten. */
const MAX_ACCOUNTS = 100_000

/**
 * How often an account may break its chain and be passed on all the same. Each break makes every consumer fetch the whole
 * repository: who breaks it with every commit would have the network do nothing else.
 */
export class DiscontinuityLimit {
  private readonly clock: Clock
  private readonly accounts = new Map<string, { readonly left: number; readonly atMs: number }>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Counts a break; gives whether it may pass. */
  take(did: string): boolean {
    const now = this.clock.now()
    const { left, atMs } = this.accounts.get(did) ?? { left: BURST, atMs: now }
    const earned = Math.max(0, now - atMs) / REFILL_MS
    const available = Math.min(BURST, left + earned)
    const passes = available >= 1
    this.accounts.delete(did)
    this.accounts.set(did, { left: passes ? available - 1 : available, atMs: now })
    if (this.accounts.size > MAX_ACCOUNTS) {
      const [oldest] = this.accounts.keys()
      if (oldest !== undefined) this.accounts.delete(oldest)
    }
    return passes
  }
}
