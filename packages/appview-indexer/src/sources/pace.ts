/** What has to arrive in a window: 1 kB/s over half a minute. */
const MIN_WINDOW_BYTES = 32_768

/** Gives up on who is slow: its signal aborts when a window passes in which too little arrived. */
export interface Pace extends Disposable {
  readonly signal: AbortSignal
  /** The same chunks, counted. */
  watch(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void>
}

/** Starts the first window, in which an answer has to begin. */
export function startPace(windowMs: number): Pace {
  const slow = new AbortController()
  let seen = 0
  const timer = setInterval(() => {
    if (seen < MIN_WINDOW_BYTES)
      slow.abort(new TypeError(`too slow; bytes=${seen} windowMs=${windowMs}`))
    seen = 0
  }, windowMs)
  return {
    signal: slow.signal,
    async *watch(chunks) {
      for await (const chunk of chunks) {
        seen += chunk.length
        yield chunk
      }
      // What remains is work here, not waiting for anybody.
      clearInterval(timer)
    },
    [Symbol.dispose]: () => {
      clearInterval(timer)
    },
  }
}
