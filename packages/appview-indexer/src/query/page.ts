/** One page. `cursor` is present when there may be more: opaque, versioned, tie-safe; hand it back unchanged. */
export interface Page<T> {
  readonly rows: readonly T[]
  readonly cursor?: string
}

/** What to read. */
export interface PageOptions {
  /** 1 to 1,000. @defaultValue 50 */
  readonly limit?: number
  /** From the page before. @throws {InvalidCursorError} when it is not one of this query's */
  readonly cursor?: string | undefined
}
