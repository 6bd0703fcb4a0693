/** Long work as a generator: each `yield` is a place where it may pause. */
export type Steps<T> = Generator<void, T, void>

/** Longest stretch of work between two pauses. A fifth of what would be felt on a server. */
const STRETCH_MS = 4

/** Runs the steps without a pause. */
export function runSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Runs the steps, giving the event loop a turn every few milliseconds. */
export async function runStepsPausing<T>(steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  let started = performance.now()
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    if (performance.now() - started < STRETCH_MS) continue
    await pause()
    signal?.throwIfAborted()
    started = performance.now()
  }
}

interface Immediate {
  readonly setImmediate?: (run: () => void) => unknown
}

/** Gives the event loop a turn. */
export function pause(): Promise<void> {
  const { setImmediate } = globalThis as Immediate
  // Timers are held back by some runtimes for milliseconds, so they are the last resort.
  return new Promise((resolve) => {
    if (setImmediate === undefined) setTimeout(resolve, 0)
    else setImmediate(resolve)
  })
}
