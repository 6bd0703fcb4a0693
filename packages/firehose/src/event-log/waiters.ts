import { LogClosedError } from '../errors.ts'
import { abortError } from '../timer.ts'

interface Waiter {
  readonly after: number
  readonly wake: () => void
  readonly fail: (error: Error) => void
}

/** Everybody who waits for a log to grow. */
export class Waiters {
  private waiting = new Set<Waiter>()
  private closed = false

  /** Resolves when {@link advance} passes `after`. The caller checked that it has not yet. */
  wait(after: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.closed) return Promise.reject(new LogClosedError())
    if (signal?.aborted === true) return Promise.reject(abortError(signal))
    return new Promise((resolve, reject) => {
      const release = (): void => {
        this.waiting.delete(waiter)
        signal?.removeEventListener('abort', aborted)
      }
      const aborted = (): void => {
        release()
        reject(signal === undefined ? new LogClosedError() : abortError(signal))
      }
      const waiter: Waiter = {
        after,
        wake: () => {
          release()
          resolve()
        },
        fail: (error) => {
          release()
          reject(error)
        },
      }
      this.waiting.add(waiter)
      signal?.addEventListener('abort', aborted, { once: true })
    })
  }

  /** Wakes everybody whose number was passed. */
  advance(last: number): void {
    for (const waiter of this.waiting) if (last > waiter.after) waiter.wake()
  }

  /** Fails everybody, now and later. */
  close(): void {
    this.closed = true
    for (const waiter of this.waiting) waiter.fail(new LogClosedError())
  }
}
