import type { Clock } from '../timer.ts'

/** A larger event counts as several of this size, so that a rate of events is one of bytes too. */
const EVENT_BYTES = 50_000

/** Seconds of its rate a host may send at once after a silence. */
const BURST_SECONDS = 10

/** Events per second a host may send: 50, growing with the accounts it may have, at most 5,000. */
export function defaultEventsPerSecond(accountLimit: number): number {
  return Math.min(5_000, 50 + accountLimit / 20)
}

/** Events of a host that may be in the works at once: 16, growing with the accounts it may have, at most 500. */
export function maxPendingEvents(accountLimit: number): number {
  return Math.min(500, 16 + Math.floor(accountLimit / 50))
}

/** Slows a host down to a rate. Nothing is dropped: its socket is read more slowly. */
export class HostRate {
  private readonly clock: Clock
  private tokens: number
  private atMs: number

  constructor(clock: Clock, perSecond: number) {
    this.clock = clock
    this.tokens = perSecond * BURST_SECONDS
    this.atMs = clock.now()
  }

  /** Takes an event of so many bytes; resolves when the next one may be taken. */
  async take(perSecond: number, bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.clock.now()
    const earned = (Math.max(0, now - this.atMs) * perSecond) / 1_000
    this.atMs = now
    this.tokens = Math.min(perSecond * BURST_SECONDS, this.tokens + earned)
    this.tokens -= Math.max(1, bytes / EVENT_BYTES)
    // Sleeping for many events at once keeps timers rare at high rates.
    if (this.tokens < -perSecond / 20) {
      await this.clock.sleep((-this.tokens * 1_000) / perSecond, signal)
    }
  }
}

const DAY_MS = 86_400_000

/** Counts what happened since the first of it, for a day; then anew. */
export class DailyCount {
  private readonly clock: Clock
  private count = 0
  private sinceMs = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  add(): void {
    if (this.today() === 0) this.sinceMs = this.clock.now()
    this.count++
  }

  today(): number {
    if (this.clock.now() - this.sinceMs >= DAY_MS) this.count = 0
    return this.count
  }
}
