/** Waits, or rejects with the signal's reason. */
export type Delay = (delayMs: number, signal: AbortSignal) => Promise<void>

/** The platform's timer as a {@link Delay}. */
export const timerDelay: Delay = (delayMs, signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, delayMs)
    signal.addEventListener('abort', abort, { once: true })
  })

/** Doubles from `firstMs` to `maxMs`; `attempt` counts from 1. */
export function backoffMs(attempt: number, firstMs: number, maxMs: number): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(30, Math.max(0, attempt - 1)))
}
