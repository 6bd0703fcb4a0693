import { untilAborted } from '../abort.ts'

/** Bytes in pieces: an array of chunks, a `ReadableStream`, a Node stream, a fetch body. */
export type ByteSource = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** Takes the pieces of a source one by one. */
export class ChunkReader {
  private readonly iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array>
  private readonly signal: AbortSignal | undefined
  private waiting = false
  private ended = false

  /** @throws {TypeError} when the source is none. */
  constructor(source: Uint8Array | ByteSource, signal?: AbortSignal) {
    this.iterator = iterate(source)
    this.signal = signal
  }

  /**
   * Gives the next piece; undefined at the end.
   *
   * @throws the signal's reason, also while the source lets it wait.
   * @throws whatever the source throws.
   */
  async next(): Promise<Uint8Array | undefined> {
    if (this.ended) return undefined
    this.signal?.throwIfAborted()
    this.waiting = true
    const { done, value } = await untilAborted(this.iterator.next(), this.signal)
    this.waiting = false
    if (done === true) {
      this.ended = true
      return undefined
    }
    if (!ArrayBuffer.isView(value)) throw new TypeError('source must give Uint8Array pieces')
    return value
  }

  /** Releases the source. */
  async close(): Promise<void> {
    if (this.ended) return
    this.ended = true
    const released = this.iterator.return?.()
    // A source that is still at its last piece may never come back from it.
    if (this.waiting) Promise.resolve(released).catch(() => {})
    else await released
  }
}

function iterate(
  source: Uint8Array | ByteSource,
): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  if (source instanceof Uint8Array) return [source][Symbol.iterator]()
  if (typeof source === 'object' && source !== null) {
    if (isStream(source)) return iterateStream(source)
    if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]()
    if (Symbol.iterator in source) return source[Symbol.iterator]()
  }
  throw new TypeError('source must be bytes or give them in pieces')
}

/** By its shape: it may be of another realm or library. */
function isStream(source: object): source is ReadableStream<Uint8Array> {
  return 'getReader' in source
}

/** A stream's own iterator cannot be left while it waits, and some browsers have none. */
function iterateStream(stream: ReadableStream<Uint8Array>): AsyncIterator<Uint8Array> {
  const reader = stream.getReader()
  return {
    async next() {
      const { done, value } = await reader.read()
      if (!done) return { done, value }
      reader.releaseLock()
      return { done, value: undefined }
    },
    async return() {
      await reader.cancel()
      reader.releaseLock()
      return { done: true, value: undefined }
    },
  }
}
