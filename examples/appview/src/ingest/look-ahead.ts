import { type IdentitySource, type OpenStream, peekFrame } from '@skywright/firehose'

/** Lookups underway at a time; accounts beyond are looked up when their turn comes. */
const MAX_LOOKUPS = 64

/**
 * Looks the accounts of arriving commits up while the events before them are still in work. Events are handled strictly
 * in order, so without it each unknown account would hold up everybody for one lookup.
 */
export function createLookAhead(open: OpenStream, identity: IdentitySource): OpenStream {
  const underway = new Set<string>()

  function lookUp(frame: Uint8Array, signal: AbortSignal): void {
    const did = accountOf(frame)
    if (did === undefined || underway.has(did) || underway.size >= MAX_LOOKUPS) return
    if (identity.peek(did) !== undefined) return
    underway.add(did)
    // Whoever verifies the event meets the failure again, and reports it.
    void identity
      .resolve(did, { refresh: false, signal })
      .catch(() => undefined)
      .finally(() => underway.delete(did))
  }

  return (url, options) => ({
    [Symbol.asyncIterator]: () => {
      const frames = open(url, options)[Symbol.asyncIterator]()
      return {
        async next() {
          const result = await frames.next()
          if (result.done !== true) lookUp(result.value, options.signal)
          return result
        },
        async return() {
          return (await frames.return?.()) ?? { value: undefined, done: true }
        },
      }
    },
  })
}

/** The account whose key the frame needs. */
function accountOf(frame: Uint8Array): string | undefined {
  try {
    const { type, did } = peekFrame(frame)
    return type === '#commit' || type === '#sync' ? did : undefined
  } catch {
    // A frame that cannot be read is met again, and reported, by the consumer.
    return undefined
  }
}
