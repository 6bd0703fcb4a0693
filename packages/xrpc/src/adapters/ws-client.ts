import { WebSocket } from 'ws'
import { StreamClosedError } from '../errors.ts'
import type { OpenStreamOptions } from '../stream-connection.ts'
import type { FrameData } from '../subprotocol.ts'

const HANDSHAKE_TIMEOUT_MS = 15_000
/** Messages received and not yet taken, above which the socket is not read. */
const MAX_QUEUED_MESSAGES = 64
const MAX_QUEUED_BYTES = 4_194_304

/**
 * Opens a subscription's connection with `ws`: messages over the bound are refused before they are buffered, compression
 * is off, pings count as life, and a slow reader slows the sender down instead of filling memory.
 *
 * @throws {StreamClosedError} as the iteration of every connection does; `status` tells a refusal
 */
export async function* openWebSocket(
  url: string,
  { signal, maxMessageBytes, idleTimeoutMs, protocols = [] }: OpenStreamOptions,
): AsyncGenerator<FrameData, void, void> {
  signal.throwIfAborted()
  const queue: FrameData[] = []
  let queuedBytes = 0
  let failure: StreamClosedError | undefined
  let ended = false
  let wake = (): void => undefined
  let idle: NodeJS.Timeout | undefined
  const socket = new WebSocket(url, [...protocols], {
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  })

  const stop = (error?: StreamClosedError): void => {
    if (ended) return
    ended = true
    failure = error
    socket.terminate()
    wake()
  }
  const alive = (): void => {
    clearTimeout(idle)
    if (idleTimeoutMs > 0) {
      idle = setTimeout(() => stop(new StreamClosedError('nothing was received')), idleTimeoutMs)
    }
  }
  socket.on('open', alive)
  socket.on('ping', alive)
  socket.on('message', (data: Buffer, isBinary) => {
    alive()
    if (!isBinary && protocols.length === 0) {
      stop(new StreamClosedError('a text message'))
      return
    }
    const message = isBinary ? data : data.toString()
    queue.push(message)
    queuedBytes += message.length
    if (queue.length >= MAX_QUEUED_MESSAGES || queuedBytes >= MAX_QUEUED_BYTES) socket.pause()
    wake()
  })
  socket.on('unexpected-response', (_request, response) => {
    response.resume()
    const { statusCode = 0 } = response
    stop(new StreamClosedError(`refused with ${statusCode}`, { status: statusCode }))
  })
  socket.on('error', (cause) => stop(new StreamClosedError(cause.message, { cause })))
  socket.on('close', (code, reason) => {
    stop(code === 1000 ? undefined : new StreamClosedError(reason.toString(), { closeCode: code }))
  })
  const onAbort = (): void => stop()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const message = queue.shift()
      if (message !== undefined) {
        queuedBytes -= message.length
        if (queue.length === 0 && socket.isPaused) socket.resume()
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
