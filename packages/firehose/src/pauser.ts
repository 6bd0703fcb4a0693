/** Longest stretch of work before the event loop gets a turn, in milliseconds. */
const STRETCH_MS = 4
/** Calls between two looks at the clock. */
const CALLS_A_LOOK = 16

interface Immediate {
  readonly setImmediate?: (run: () => void) => unknown
}

/** Gives a function to call between pieces of work: what it returns, if anything, resolves after the event loop had a turn. */
export function createPauser(): () => Promise<void> | undefined {
  let started = performance.now()
  let calls = 0
  return () => {
    if (++calls < CALLS_A_LOOK) return undefined
    calls = 0
    if (performance.now() - started < STRETCH_MS) return undefined
    return pause().then(() => {
      started = performance.now()
    })
  }
}

function pause(): Promise<void> {
  const { setImmediate } = globalThis as Immediate
  // Not every platform has the former; the latter may take some milliseconds.
  return new Promise((resolve) => {
    if (setImmediate === undefined) setTimeout(resolve, 0)
    else setImmediate(resolve)
  })
}
