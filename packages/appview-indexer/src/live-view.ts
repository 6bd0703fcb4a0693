import { setTimeout } from 'node:timers/promises'

import type { Declarations } from './collection.ts'
import type { Indexer } from './indexer.ts'

/** Options of {@link openLiveView}. */
export interface LiveViewOptions<T> {
  /** Makes what is shown, from the index or anything else. Its signal aborts when the view ends, which waits for no rendering. */
  readonly render: (options: { readonly signal: AbortSignal }) => Promise<T>
  /** Told when rendering failed; what was rendered before stays, and the next change renders again. */
  readonly onError: (error: unknown) => void
  /** Shortest time between two renderings, in milliseconds, whatever is written. @defaultValue 100 */
  readonly minIntervalMs?: number
  /** Most readers at a time. @defaultValue 2000 */
  readonly maxReaders?: number
}

/** What many see alike and see change: rendered once a change, however many read. Disposing it ends every reader. */
export interface LiveView<T> extends AsyncDisposable {
  /** As rendered last. */
  readonly current: T
  /**
   * The present state, and then each later one that differs; a reader that is slow goes on with the latest. Ends when the
   * signal aborts or the view is disposed of.
   *
   * @throws {RangeError} at the first step, when there are too many readers
   */
  follow(options?: { readonly signal?: AbortSignal }): AsyncGenerator<T, void, void>
}

const DEFAULT_INTERVAL_MS = 100
const DEFAULT_READERS = 2_000

/**
 * Renders for the first time, and from then on after every change of the index.
 *
 * @throws what rendering throws the first time
 */
export async function openLiveView<T, D extends Declarations>(
  index: Pick<Indexer<D>, 'changed'>,
  options: LiveViewOptions<T>,
): Promise<LiveView<T>> {
  const { render, onError, minIntervalMs = DEFAULT_INTERVAL_MS } = options
  const { maxReaders = DEFAULT_READERS } = options
  const stop = new AbortController()
  const { signal } = stop
  const wakers = new Set<() => void>()
  let readers = 0
  // Listening starts before rendering: a change meanwhile is not missed.
  let change = index.changed({ signal })
  change.catch(() => undefined)
  let current: T
  try {
    current = await render({ signal })
  } catch (error) {
    stop.abort()
    throw error
  }
  const wakeAll = (): void => {
    const waiting = [...wakers]
    wakers.clear()
    for (const wake of waiting) wake()
  }
  const rendering = (async () => {
    for (;;) {
      await change
      signal.throwIfAborted()
      change = index.changed({ signal })
      change.catch(() => undefined)
      try {
        const next = await unlessAborted(render({ signal }), signal)
        if (next !== current) {
          current = next
          wakeAll()
        }
      } catch (error) {
        if (!signal.aborted) onError(error)
      }
      await setTimeout(minIntervalMs, undefined, { signal })
    }
  })().catch((error: unknown) => {
    if (!signal.aborted) onError(error)
  })
  return {
    get current() {
      return current
    },
    async *follow({ signal: gone } = {}) {
      if (readers >= maxReaders) throw new RangeError(`too many readers; most=${maxReaders}`)
      readers++
      let woken: (() => void) | undefined
      const wake = (): void => woken?.()
      const isOver = (): boolean => signal.aborted || gone?.aborted === true
      gone?.addEventListener('abort', wake)
      try {
        while (!isOver()) {
          const shown = current
          yield shown
          while (shown === current && !isOver()) {
            await new Promise<void>((resolve) => {
              woken = resolve
              wakers.add(resolve)
            })
            if (woken !== undefined) wakers.delete(woken)
          }
        }
      } finally {
        gone?.removeEventListener('abort', wake)
        readers--
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      wakeAll()
      await rendering
    },
  }
}

/** What the work comes to, or at once the signal's reason when it aborts: then nobody hears of the work any more. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', abort, { once: true })
    work
      .finally(() => {
        signal.removeEventListener('abort', abort)
      })
      .then(resolve, reject)
  })
}
