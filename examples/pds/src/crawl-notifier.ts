/** Shortest time between two requests to one relay that has not lost its connection. */
export const CRAWL_INTERVAL_MS: number = 20 * 60_000
const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 10 * 60_000
const REQUEST_TIMEOUT_MS = 10_000

export interface CrawlNotifierOptions {
  /** Origins of the relays. */
  readonly relays: readonly string[]
  /** Host name of this server, with its port when it has one. */
  readonly hostname: string
  readonly fetch: typeof globalThis.fetch
  readonly now: () => number
  /** Resolves after a time, or rejects when the signal aborts. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>
  /** Told about every attempt. */
  readonly onAttempt: (attempt: {
    readonly relay: string
    readonly attempt: number
    readonly error?: unknown
  }) => void
}

/** Asks relays to crawl this server, and again when they have gone away. */
export interface CrawlNotifier extends AsyncDisposable {
  /** Asks every relay now, retrying in the background until it listens. */
  start(): void
  /** Something was published while nobody was connected: asks again, at most once per interval. */
  publishedUnheard(): void
}

/** Makes a notifier. It never fails its caller: attempts go on in the background with growing pauses. */
export function createCrawlNotifier(options: CrawlNotifierOptions): CrawlNotifier {
  const { relays, hostname, fetch, now, delay, onAttempt } = options
  const stop = new AbortController()
  const running = new Map<string, Promise<void>>()
  let lastRound = Number.NEGATIVE_INFINITY

  async function ask(relay: string): Promise<void> {
    for (let attempt = 1; !stop.signal.aborted; attempt++) {
      try {
        const response = await fetch(`${relay}/xrpc/com.atproto.sync.requestCrawl`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ hostname }),
          signal: AbortSignal.any([stop.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
        })
        await response.body?.cancel()
        if (!response.ok) throw new RelayAnswerError(response.status)
        onAttempt({ relay, attempt })
        return
      } catch (error) {
        if (stop.signal.aborted) return
        onAttempt({ relay, attempt, error })
        if (error instanceof RelayAnswerError && error.isFinal) return
      }
      const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1))
      await delay(longest * (0.5 + Math.random() / 2), stop.signal).catch(() => undefined)
    }
  }

  function start(): void {
    lastRound = now()
    for (const relay of relays) {
      if (running.has(relay)) continue
      running.set(
        relay,
        ask(relay).finally(() => running.delete(relay)),
      )
    }
  }

  return {
    start,
    publishedUnheard() {
      if (relays.length > 0 && now() - lastRound >= CRAWL_INTERVAL_MS) start()
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(running.values())
    },
  }
}

class RelayAnswerError extends Error {
  override readonly name = 'RelayAnswerError'
  /** The relay understood and does not want to: asking again at once would be rude. */
  readonly isFinal: boolean
  constructor(status: number) {
    super(`relay answered; status=${status}`)
    this.isFinal = status >= 400 && status < 500 && status !== 408 && status !== 429
  }
}
