import type { FramePeek } from './peek.ts'
import type { StreamEvent } from './stream-event.ts'

/**
 * Which commits a consumer wants. `#account`, `#identity` and `#sync` pass a collection filter always: whoever keeps
 * records of an account has to hear that it was deleted.
 */
export interface EventFilter {
  /** Exact NSIDs, or `a.b.*` for everything below `a.b`. Absent: all. */
  readonly collections?: readonly string[]
  /** Accounts. Absent: all. */
  readonly dids?: readonly string[]
}

/**
 * Tests collections against patterns: exact NSIDs, `a.b.*` for everything below `a.b` (on the dot: `a.bc` does not
 * match), `*` for all.
 *
 * @throws {TypeError} when a `*` stands anywhere else.
 */
export function createCollectionMatcher(
  patterns: readonly string[],
): (collection: string) => boolean {
  const exact = new Set<string>()
  const prefixes: string[] = []
  for (const pattern of patterns) {
    const star = pattern.indexOf('*')
    if (star === -1) exact.add(pattern)
    else if (pattern === '*') prefixes.push('')
    else if (star === pattern.length - 1 && star > 1 && pattern.endsWith('.*')) {
      prefixes.push(pattern.slice(0, -1))
    } else {
      throw new TypeError(`a pattern is an NSID, an NSID prefix and .*, or *; pattern=${pattern}`)
    }
  }
  return (collection) =>
    exact.has(collection) || prefixes.some((prefix) => collection.startsWith(prefix))
}

/** Whether a frame is of an account the consumer follows; what other accounts do need not even be verified. */
export function createScope(filter: EventFilter | undefined): (peek: FramePeek) => boolean {
  if (filter?.dids === undefined) return () => true
  const dids = new Set(filter.dids)
  return ({ did }) => did === undefined || dids.has(did)
}

/** Whether a frame can matter to a consumer, from its peek alone. */
export function createFrameFilter(filter: EventFilter | undefined): (peek: FramePeek) => boolean {
  const inScope = createScope(filter)
  const matches =
    filter?.collections === undefined ? undefined : createCollectionMatcher(filter.collections)
  return (peek) => {
    if (!inScope(peek)) return false
    const { type, paths } = peek
    if (type !== '#commit' || matches === undefined) return true
    return paths.some((path) => {
      const slash = path.indexOf('/')
      return matches(slash === -1 ? path : path.slice(0, slash))
    })
  }
}

/** Whether an event matters to a consumer; of a commit, one matching operation is enough. */
export function createEventFilter(
  filter: EventFilter | undefined,
): (event: StreamEvent) => boolean {
  const dids = filter?.dids === undefined ? undefined : new Set(filter.dids)
  const matches =
    filter?.collections === undefined ? undefined : createCollectionMatcher(filter.collections)
  return (event) => {
    if (dids !== undefined && !dids.has(event.did)) return false
    if (event.type !== 'commit' || matches === undefined) return true
    return event.ops.some(({ collection }) => matches(collection))
  }
}
