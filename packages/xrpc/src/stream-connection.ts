import { StreamClosedError } from './errors.ts'
import type { FrameData } from './subprotocol.ts'

/** What a connection is opened with. */
export interface OpenStreamOptions {
  /** Closes the connection. */
  readonly signal: AbortSignal
  /** Longest message accepted, in bytes; enforced before it is buffered where the platform allows. */
  readonly maxMessageBytes: number
  /** Longest time without a message or a ping before the connection counts as dead; 0 for no limit. */
  readonly idleTimeoutMs: number
  /** Subprotocols to offer. Text messages are accepted only with some. @defaultValue none */
  readonly protocols?: readonly string[]
}

/**
 * Connects to a WebSocket and gives its messages, bytes or text. The iteration ends when the server closes normally.
 *
 * @throws {StreamClosedError} when the connection could not be opened, broke, or carried what it must not
 */
export type OpenStream = (url: string, options: OpenStreamOptions) => AsyncIterable<FrameData>

/** Bytes received and not yet taken, above which a connection that cannot be paused is given up. */
const MAX_QUEUED_BYTES = 33_554_432

/** Opens connections with the platform's own `WebSocket`: browsers, Deno, Bun, Workers, Node. */
export function openPlatformStream(
  url: string,
  options: OpenStreamOptions,
): AsyncGenerator<FrameData, void, void> {
  return readSocket(url, options)
}

async function* readSocket(
  url: string,
  { signal, maxMessageBytes, idleTimeoutMs, protocols = [] }: OpenStreamOptions,
): AsyncGenerator<FrameData, void, void> {
  signal.throwIfAborted()
  const queue: FrameData[] = []
  let queuedBytes = 0
  let failure: StreamClosedError | undefined
  let ended = false
  let wake = (): void => undefined
  let idle: ReturnType<typeof setTimeout> | undefined
  const socket = new WebSocket(url, [...protocols])
  socket.binaryType = 'arraybuffer'

  const stop = (error?: StreamClosedError): void => {
    if (ended) return
    ended = true
    failure = error
    socket.close()
    wake()
  }
  const alive = (): void => {
    clearTimeout(idle)
    if (idleTimeoutMs > 0) {
      idle = setTimeout(() => stop(new StreamClosedError('nothing was received')), idleTimeoutMs)
    }
  }
  socket.addEventListener('open', alive)
  socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    alive()
    if (ended) return
    const message = data instanceof ArrayBuffer ? new Uint8Array(data) : String(data)
    if (typeof message === 'string' && protocols.length === 0) {
      return stop(new StreamClosedError('a text message'))
    }
    queuedBytes += message.length
    if (message.length > maxMessageBytes) return stop(new StreamClosedError('a message too long'))
    if (queuedBytes > MAX_QUEUED_BYTES) return stop(new StreamClosedError('reader too slow'))
    queue.push(message)
    wake()
  })
  socket.addEventListener('error', () => stop(new StreamClosedError('could not connect')))
  socket.addEventListener('close', ({ code, reason }) => {
    stop(code === 1000 ? undefined : new StreamClosedError(reason, { closeCode: code }))
  })
  const onAbort = (): void => stop()
  signal.addEventListener('abort', onAbort, { once: true })
  alive()
  try {
    for (;;) {
      const message = queue.shift()
      if (message !== undefined) {
        queuedBytes -= message.length
        yield message
      } else if (ended) {
        signal.throwIfAborted()
        if (failure !== undefined) throw failure
        return
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    clearTimeout(idle)
    signal.removeEventListener('abort', onAbort)
    stop()
  }
}
