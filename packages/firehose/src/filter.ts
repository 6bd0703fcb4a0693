/** Which commits a consumer wants. Account, identity and sync events pass every filter. */
export interface EventFilter {
  /** Exact NSIDs, or `a.b.*` for everything below `a.b`. Absent: all. */
  readonly collections?: readonly string[]
  /** Accounts. Absent: all. */
  readonly dids?: readonly string[]
}

/** Tests collections against the patterns of a filter, on label boundaries. */
export function createCollectionMatcher(
  patterns: readonly string[],
): (collection: string) => boolean {
  const exact = new Set<string>()
  const prefixes: string[] = []
  for (const pattern of patterns) {
    if (pattern === '*') prefixes.push('')
    else if (pattern.endsWith('.*')) prefixes.push(pattern.slice(0, -1))
    else exact.add(pattern)
  }
  return (collection) =>
    exact.has(collection) || prefixes.some((prefix) => collection.startsWith(prefix))
}
