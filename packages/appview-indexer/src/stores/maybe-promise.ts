/** A value now (embedded stores) or later (servers). The engine never waits in between when it is now. */
export type MaybePromise<T> = T | Promise<T>
