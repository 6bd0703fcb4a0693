/**
 * Where a consumer keeps, per source, the highest sequence number below every unfinished event.
 *
 * A cursor is only ever moved after the events below it were handled, so a crash repeats events and never skips one.
 */
export interface CursorStore {
  /** The stored cursor of `source`, or `undefined` when it was never read. */
  get(source: string): Promise<number | undefined>
  /** Stores it durably before resolving. */
  set(source: string, cursor: number): Promise<void>
}

/** A cursor store that forgets at exit. */
export function createMemoryCursorStore(initial?: Readonly<Record<string, number>>): CursorStore {
  const cursors = new Map<string, number>(Object.entries(initial ?? {}))
  return {
    get: (source) => Promise.resolve(cursors.get(source)),
    set: (source, cursor) => {
      cursors.set(source, cursor)
      return Promise.resolve()
    },
  }
}
