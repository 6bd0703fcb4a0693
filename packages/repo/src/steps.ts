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
  signal?.throwIfAborted()
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

/** Calls between two looks at the clock. */
const CALLS_A_LOOK = 32

/** Gives a function to call between pieces of work: it pauses when the last pause was long enough ago. */
export function createPauser(signal?: AbortSignal): () => Promise<void> | undefined {
  let started = performance.now()
  let calls = 0
  return () => {
    if (++calls < CALLS_A_LOOK) return undefined
    calls = 0
    if (performance.now() - started < STRETCH_MS) return undefined
    return pause().then(() => {
      signal?.throwIfAborted()
      started = performance.now()
    })
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
