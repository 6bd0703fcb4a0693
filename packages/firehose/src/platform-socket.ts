import { DisconnectedError } from './errors.ts'
import type { OpenStream } from './socket.ts'
import { SocketBuffer } from './socket-buffer.ts'

/**
 * Opens streams with the platform's own `WebSocket` (browsers, Deno, Bun, Workers, Node).
 *
 * That interface cannot pause a socket. When the reader falls `highWaterBytes` behind, the connection is closed
 * instead; what was received is still read, and the subscriber continues from its cursor. On Node prefer
 * `openWebSocket` of `@skywright/firehose/ws`, which pauses and keeps alive.
 */
export const openPlatformSocket: OpenStream = (
  url,
  { signal, maxFrameBytes, highWaterBytes, text = false, onOpen, onSender, headers },
) => ({
  [Symbol.asyncIterator]: () => {
    signal.throwIfAborted()
    if (headers !== undefined) throw new TypeError('the platform WebSocket sends no headers')
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    const close = (): void => {
      if (socket.readyState <= WebSocket.OPEN) socket.close()
    }
    const buffer = new SocketBuffer({
      highWaterBytes,
      pause: () => {
        buffer.end(new DisconnectedError('reader fell behind; continuing from the cursor'))
        close()
      },
      resume: () => undefined,
      close,
    })
    const aborted = (): void => {
      buffer.abort(signal)
    }
    signal.addEventListener('abort', aborted, { once: true })
    socket.addEventListener('open', () => {
      onOpen?.()
      onSender?.((message) => {
        socket.send(message)
      })
    })
    socket.addEventListener('message', (message: MessageEvent<unknown>) => {
      const data =
        text && typeof message.data === 'string'
          ? new TextEncoder().encode(message.data).buffer
          : message.data
      if (!(data instanceof ArrayBuffer)) {
        buffer.end(new DisconnectedError('text message on a binary stream'))
        close()
      } else if (data.byteLength > maxFrameBytes) {
        buffer.end(new DisconnectedError('message too large'))
        close()
      } else buffer.push(new Uint8Array(data))
    })
    socket.addEventListener('close', ({ code, reason }) => {
      signal.removeEventListener('abort', aborted)
      buffer.end(new DisconnectedError(`connection closed; reason=${reason}`, { closeCode: code }))
    })
    socket.addEventListener('error', () => {
      buffer.end(new DisconnectedError('connection failed'))
    })
    return buffer
  },
})
