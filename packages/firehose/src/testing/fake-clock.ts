import { abortError, type Clock } from '../timer.ts'

interface Sleeper {
  readonly atMs: number
  readonly wake: () => void
}

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
  /** Moves time forward, waking sleepers in order; lets each of them work before the next wakes. */
  advance(ms: number): Promise<void>
  /** How many sleep now. */
  readonly sleeping: number
}

/** A clock that starts at `startMs` and moves only by {@link FakeClock.advance}. */
export function createFakeClock(startMs = 1_800_000_000_000): FakeClock {
  let nowMs = startMs
  const sleepers = new Set<Sleeper>()
  const settle = async (): Promise<void> => {
    // Lets everything that is ready run, including what that makes ready.
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    now: () => nowMs,
    get sleeping() {
      return sleepers.size
    },
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(abortError(signal))
          return
        }
        const aborted = (): void => {
          sleepers.delete(sleeper)
          reject(signal === undefined ? new Error('aborted') : abortError(signal))
        }
        const sleeper: Sleeper = {
          atMs: nowMs + ms,
          wake: () => {
            sleepers.delete(sleeper)
            signal?.removeEventListener('abort', aborted)
            resolve()
          },
        }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', aborted, { once: true })
      }),
    advance: async (ms) => {
      const target = nowMs + ms
      await settle()
      for (;;) {
        let next: Sleeper | undefined
        for (const sleeper of sleepers) {
          if (sleeper.atMs <= target && (next === undefined || sleeper.atMs < next.atMs)) {
            next = sleeper
          }
        }
        if (next === undefined) break
        nowMs = Math.max(nowMs, next.atMs)
        next.wake()
        await settle()
      }
      nowMs = target
      await settle()
    },
  }
}
