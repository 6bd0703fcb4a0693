export interface BackoffOptions {
  /** Upper bound of the first delay, in milliseconds. @defaultValue 1000 */
  readonly baseMs?: number
  /** Upper bound of every delay, in milliseconds. @defaultValue 30 000 */
  readonly maxMs?: number
  /** A number from 0 to 1. @defaultValue Math.random */
  readonly random?: () => number
}

/**
 * Delay before attempt number `attempt` (from 1): a random share of a bound that doubles, never less than a tenth of
 * it, so that clients cut off together do not come back together.
 */
export function backoffMs(
  attempt: number,
  { baseMs = 1_000, maxMs = 30_000, random = Math.random }: BackoffOptions = {},
): number {
  const bound = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(bound * (0.1 + 0.9 * random()))
}
