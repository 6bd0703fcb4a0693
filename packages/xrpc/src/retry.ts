import { retryAfter } from './error-response.ts'
import { ConnectionError, RateLimitedError, XrpcError } from './errors.ts'

/** How queries are repeated. */
export interface RetryOptions {
  /** Attempts in all; 1 means no repetition. @defaultValue 3 */
  readonly attempts?: number
  /** Longest wait before the second attempt; doubles from then on. @defaultValue 500 */
  readonly baseDelayMs?: number
  /** Longest wait at all. A server that asks for more is not asked again. @defaultValue 30,000 */
  readonly maxDelayMs?: number
  /** Waits. @defaultValue timers */
  readonly wait?: (ms: number, signal: AbortSignal | undefined) => Promise<void>
  /** From 0 up to 1. @defaultValue `Math.random` */
  readonly random?: () => number
}

const ATTEMPTS = 3
const BASE_DELAY_MS = 500
const MAX_DELAY_MS = 30_000
const RETRYABLE = new Set([429, 500, 502, 503, 504])

/** Runs `attempt` until it succeeds, fails for good, or was tried often enough. Full-jitter exponential backoff. */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  options: RetryOptions,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { attempts = ATTEMPTS, baseDelayMs = BASE_DELAY_MS, maxDelayMs = MAX_DELAY_MS } = options
  const { wait = waitFor, random = Math.random } = options
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (error) {
      if (count >= attempts || !isTransient(error) || signal?.aborted === true) throw error
      const asked = error instanceof XrpcError ? askedFor(error) : undefined
      const backoff = random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (count - 1))
      const delay = asked === undefined ? backoff : asked * 1000
      if (delay > maxDelayMs) throw error
      await wait(delay, signal)
    }
  }
}

/** Seconds to wait, as the server asks, which servers that are down do as well as those that count. */
function askedFor(error: XrpcError): number | undefined {
  if (error instanceof RateLimitedError) return error.retryAfterSeconds
  return retryAfter({ get: (name) => error.headers[name] ?? null }, Date.now())
}

function isTransient(error: unknown): boolean {
  if (error instanceof ConnectionError) return true
  return error instanceof XrpcError && RETRYABLE.has(error.status)
}

/** Waits, or rejects with the signal's reason. */
export async function waitFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
