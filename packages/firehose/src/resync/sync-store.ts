/**
 * Remembers which repositories are out of date, so that a crash does not forget to fetch them.
 *
 * A mark must be durable before a cursor that passes the event which caused it.
 */
export interface SyncStore {
  /** Repositories to fetch, from before. */
  pending(): Iterable<string> | AsyncIterable<string>
  /** The repository is out of date from now on. */
  mark(dids: readonly string[]): void | Promise<void>
  /** The repository is up to date. */
  clear(did: string): void | Promise<void>
}

/** A sync store that forgets at exit. */
export function createMemorySyncStore(): SyncStore {
  const pending = new Set<string>()
  return {
    pending: () => [...pending],
    mark: (dids) => {
      for (const did of dids) pending.add(did)
    },
    clear: (did) => {
      pending.delete(did)
    },
  }
}
