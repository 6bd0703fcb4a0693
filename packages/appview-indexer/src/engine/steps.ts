/** A computation that may have to wait for a store: it yields what the store answers and continues with the value. */
export type Steps<T> = Generator<unknown, T, unknown>

/** Inside {@link Steps}: `const rows = yield* ask(tx.rows(…))`. */
export function* ask<T>(answer: T | Promise<T>): Generator<unknown, T, unknown> {
  // The driver sends back what `answer` is or resolves to.
  return (yield answer) as T
}

/** Runs steps whose answers are all there already. @throws {TypeError} when one is a promise */
export function runSteps<T>(steps: Steps<T>): T {
  let step = steps.next()
  while (step.done !== true) {
    if (step.value instanceof Promise)
      throw new TypeError('an embedded store answered with a promise')
    step = steps.next(step.value)
  }
  return step.value
}
