import { RateLimitedError, type Middleware } from '@skywright/xrpc'
import type { WriteRecords, WriteRequest } from './repos/write-records.ts'

/** A budget: this many points per window. */
export interface Budget {
  readonly points: number
  readonly windowMs: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Budgets of the reference server, which clients and migration tools are used to. */
const CALLS_PER_IP: Budget = { points: 3_000, windowMs: 5 * MINUTE_MS }
const SIGN_UPS_PER_IP: Budget = { points: 100, windowMs: 5 * MINUTE_MS }
const LOGINS: readonly Budget[] = [
  { points: 30, windowMs: 5 * MINUTE_MS },
  { points: 300, windowMs: DAY_MS },
]
const HANDLES: readonly Budget[] = [
  { points: 10, windowMs: 5 * MINUTE_MS },
  { points: 50, windowMs: DAY_MS },
]
const CONFIRMATIONS: readonly Budget[] = [
  { points: 5, windowMs: HOUR_MS },
  { points: 15, windowMs: DAY_MS },
]
const UPLOADS: Budget = { points: 1_000, windowMs: DAY_MS }
const WRITES: readonly Budget[] = [
  { points: 5_000, windowMs: HOUR_MS },
  { points: 35_000, windowMs: DAY_MS },
]
const WRITE_POINTS: Record<WriteRequest['action'], number> = {
  create: 3,
  put: 2,
  update: 2,
  delete: 1,
}
/** Callers remembered per budget; beyond it the oldest windows are forgotten first. */
const MAX_CALLERS = 50_000

/** Counts points of callers in fixed windows. */
export interface RateLimiter {
  /** @throws {RateLimitedError} when the budget is used up; nothing is counted then. */
  consume(key: string, points?: number): void
}

/** What is limited, and by whom. Without limits every limiter lets everything pass. */
export interface RateLimits {
  /** Around every call, by address. */
  readonly calls: Middleware
  /** By address. */
  readonly signUps: RateLimiter
  /** By address and account name. */
  readonly logins: RateLimiter
  /** By DID: every change is an entry in the PLC directory. */
  readonly handles: RateLimiter
  /** By DID: codes sent to owners. */
  readonly confirmations: RateLimiter
  /** By DID. */
  readonly uploads: RateLimiter
  /** By DID, weighed by what is written. */
  writes(write: WriteRecords): WriteRecords
}

/** Makes the limits of a server. */
export function createRateLimits(options: {
  readonly enabled: boolean
  readonly now: () => number
}): RateLimits {
  const { enabled, now } = options
  const limiter = (...budgets: readonly Budget[]): RateLimiter =>
    enabled ? createRateLimiter(budgets, now) : { consume: () => undefined }
  const calls = limiter(CALLS_PER_IP)
  const writes = limiter(...WRITES)
  return {
    calls: (call, next) => {
      calls.consume(call.request.ip ?? 'unknown')
      return next()
    },
    signUps: limiter(SIGN_UPS_PER_IP),
    logins: limiter(...LOGINS),
    handles: limiter(...HANDLES),
    confirmations: limiter(...CONFIRMATIONS),
    uploads: limiter(UPLOADS),
    writes: (write) => (account, requests, writeOptions) => {
      writes.consume(
        account.did,
        requests.reduce((points, { action }) => points + WRITE_POINTS[action], 0),
      )
      return write(account, requests, writeOptions)
    },
  }
}

/** Makes a limiter that holds every caller to each of the budgets. */
export function createRateLimiter(budgets: readonly Budget[], now: () => number): RateLimiter {
  const windows = budgets.map((budget) => ({
    ...budget,
    callers: new Map<string, { endsAt: number; used: number }>(),
  }))
  return {
    consume(key, points = 1) {
      const nowMs = now()
      const open = windows.map(({ points: limit, windowMs, callers }) => {
        let caller = callers.get(key)
        if (caller === undefined || caller.endsAt <= nowMs) {
          // Re-inserting keeps the map in order of windows: the first one is the oldest.
          callers.delete(key)
          caller = { endsAt: nowMs + windowMs, used: 0 }
          callers.set(key, caller)
          if (callers.size > MAX_CALLERS) callers.delete(callers.keys().next().value ?? key)
        }
        if (caller.used + points > limit) {
          throw new RateLimitedError('Rate Limit Exceeded', {
            retryAfterSeconds: Math.max(1, (caller.endsAt - nowMs) / 1000),
            headers: {
              'ratelimit-limit': String(limit),
              'ratelimit-remaining': String(limit - caller.used),
              'ratelimit-reset': String(Math.ceil(caller.endsAt / 1000)),
              'ratelimit-policy': `${limit};w=${windowMs / 1000}`,
            },
          })
        }
        return caller
      })
      for (const caller of open) caller.used += points
    },
  }
}
