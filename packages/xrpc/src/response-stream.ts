/** Streams that answer a call: let go when the caller leaves, checked while they are sent. */

/**
 * A body that is let go as soon as the signal aborts, even while its next chunk is awaited. Generators cannot be stopped from
 * outside and are let go with their next chunk; they have the signal.
 */
export function releasedOnAbort(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (body instanceof ReadableStream) return readWeb(body, signal)
  const { destroy } = body as { readonly destroy?: unknown }
  return typeof destroy === 'function' ? readNode(body, () => destroy.call(body), signal) : body
}

async function* readWeb(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader()
  const release = (): void => void reader.cancel().catch(() => undefined)
  signal.addEventListener('abort', release, { once: true })
  if (signal.aborted) release()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', release)
    release()
  }
}

async function* readNode(
  body: AsyncIterable<Uint8Array>,
  release: () => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  signal.addEventListener('abort', release, { once: true })
  if (signal.aborted) release()
  try {
    yield* body
  } finally {
    signal.removeEventListener('abort', release)
  }
}

/**
 * The chunks of a body, each of them bytes, together as long as its `content-length` says: on a connection that is kept, a
 * body of another length would be taken for part of the next answer.
 *
 * @throws {TypeError} when they are not
 */
export async function* checkedChunks(
  body: AsyncIterable<Uint8Array>,
  lengthLeft: number | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  let left = lengthLeft
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError(`a chunk of a body is not bytes; type=${typeof chunk}`)
    }
    if (left !== undefined) {
      left -= chunk.length
      if (left < 0) throw new TypeError('a body is longer than its content-length')
    }
    yield chunk
  }
  if (left !== undefined && left !== 0) {
    throw new TypeError('a body is not as long as its content-length')
  }
}
