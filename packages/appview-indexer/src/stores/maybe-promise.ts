/** A value now (embedded stores) or later (servers). The engine never waits in between when it is now. */
export type MaybePromise<T> = T | Promise<T>

/** Several answers as one. */
export function together<T>(answers: readonly MaybePromise<T>[]): MaybePromise<readonly T[]> {
  if (answers.some((answer) => answer instanceof Promise)) return Promise.all(answers)
  // None is a promise.
  return answers as readonly T[]
}
