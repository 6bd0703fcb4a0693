/**
 * What a source gives until the signal aborts, also while the source is keeping us waiting. For sources of pages: each
 * of them costs a little memory until the end.
 */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  const iterator = source[Symbol.asyncIterator]()
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  try {
    while (!signal.aborted) {
      const next = await Promise.race([iterator.next(), aborted])
      if (next === undefined || next.done === true) return
      yield next.value
    }
  } finally {
    // Not waited for: a source that does not answer would not answer this either.
    iterator.return?.().catch(() => undefined)
  }
}
