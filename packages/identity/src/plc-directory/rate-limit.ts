const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS

/** Operations one DID may add in a time. */
export interface PlcRateLimits {
  readonly perHour: number
  readonly perDay: number
  readonly perWeek: number
}

/** The limits the specification gives for the public directory. */
export const DEFAULT_PLC_RATE_LIMITS: PlcRateLimits = { perHour: 10, perDay: 30, perWeek: 100 }

/** Milliseconds until one more operation fits the limits; 0 when it fits now. */
export function plcRateLimitWaitMs(
  timesMs: readonly number[],
  nowMs: number,
  limits: PlcRateLimits,
): number {
  const waits = [
    [limits.perHour, HOUR_MS],
    [limits.perDay, DAY_MS],
    [limits.perWeek, WEEK_MS],
  ].map(([limit = 0, windowMs = 0]) => {
    const within = timesMs.filter((time) => time > nowMs - windowMs)
    if (within.length < limit) return 0
    // Enough of the oldest must leave the window.
    const leaving = within[within.length - limit] ?? nowMs
    return leaving + windowMs - nowMs
  })
  return Math.max(...waits)
}
