/**
 * Streams over the `ws` package, for Node: reading with back-pressure and keep-alive, serving one log to many.
 *
 * @packageDocumentation
 */
import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import { WebSocket } from 'ws'
import { DisconnectedError } from './errors.ts'
import type { OpenStream } from './socket.ts'
import { SocketBuffer } from './socket-buffer.ts'

export { createJetstreamSockets } from './jetstream/jetstream-sockets.ts'
export type { JetstreamSockets, JetstreamSocketsOptions } from './jetstream/jetstream-sockets.ts'
export { createEventSockets } from './ws-serve.ts'
export type { EventSockets, EventSocketsOptions } from './ws-serve.ts'

export interface OpenWebSocketOptions {
  /** How often a silent connection is pinged; two unanswered pings end it. @defaultValue 20 seconds */
  readonly heartbeatMs?: number
  /** Longest wait for the connection to open. @defaultValue 15 seconds */
  readonly handshakeTimeoutMs?: number
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Finds the address of a host; where names are chosen by strangers, one that refuses private addresses.
   * @defaultValue the system's
   */
  readonly lookup?: LookupFunction
  /** Told each time a connection is open: from here on nothing the service sends is missed. */
  readonly onOpen?: () => void
}

/**
 * Opens streams with `ws`: the socket is paused while nobody reads, and pinged so that a dead peer is noticed while a
 * quiet one is not disturbed.
 */
export function createOpenWebSocket({
  heartbeatMs = 20_000,
  handshakeTimeoutMs = 15_000,
  headers = {},
  lookup,
  onOpen,
}: OpenWebSocketOptions = {}): OpenStream {
  return (url, opening) => ({
    [Symbol.asyncIterator]: () => {
      const { signal, maxFrameBytes, highWaterBytes, text = false } = opening
      signal.throwIfAborted()
      const socket = new WebSocket(url, {
        headers: { ...headers, ...opening.headers },
        ...(lookup === undefined ? {} : { lookup }),
        handshakeTimeout: handshakeTimeoutMs,
        maxPayload: maxFrameBytes,
        perMessageDeflate: false,
        skipUTF8Validation: true,
      })
      const buffer = new SocketBuffer({
        highWaterBytes,
        pause: () => {
          socket.pause()
        },
        resume: () => {
          heard = true
          socket.resume()
        },
        close: () => {
          socket.terminate()
        },
      })
      let heard = true
      let missed = 0
      const heartbeat = setInterval(() => {
        // A paused socket cannot hear the answer.
        if (socket.isPaused || heard) missed = 0
        else if (++missed >= 2) {
          fail(new DisconnectedError('no answer to pings'))
          return
        }
        heard = false
        if (socket.readyState === WebSocket.OPEN) socket.ping()
      }, heartbeatMs)
      const fail = (error: Error): void => {
        buffer.end(error)
        socket.terminate()
      }
      const aborted = (): void => {
        buffer.abort(signal)
      }
      signal.addEventListener('abort', aborted, { once: true })
      socket.on('open', () => {
        onOpen?.()
        opening.onOpen?.()
        opening.onSender?.((message) => {
          // One that comes too late is as good as lost; there is nobody to tell.
          if (socket.readyState === WebSocket.OPEN) socket.send(message)
        })
      })
      socket.on('message', (data: Uint8Array, isBinary: boolean) => {
        heard = true
        if (!isBinary && !text) fail(new DisconnectedError('text message on a binary stream'))
        else buffer.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      })
      socket.on('pong', () => {
        heard = true
      })
      socket.on('unexpected-response', (request, response) => {
        const status = response.statusCode ?? 0
        // Busy and broken servers recover; a refusal does not by itself.
        const retryable = status >= 500 || status === 429 || status === 408
        const message = `upgrade refused; status=${String(status)}`
        void refusalName(response).then((error) => {
          request.destroy()
          fail(new DisconnectedError(message, { status, error, retryable }))
        })
      })
      socket.on('error', (cause) => {
        fail(new DisconnectedError(`connection failed; reason=${cause.message}`, { cause }))
      })
      socket.on('close', (closeCode, reason) => {
        clearInterval(heartbeat)
        signal.removeEventListener('abort', aborted)
        const why = new TextDecoder().decode(reason)
        buffer.end(
          new DisconnectedError(`connection closed; code=${String(closeCode)} reason=${why}`, {
            closeCode,
          }),
        )
      })
      return buffer
    },
  })
}

/** {@link createOpenWebSocket} with its defaults. */
export const openWebSocket: OpenStream = createOpenWebSocket()

/** Most bytes of a refusal that are read. */
const MAX_REFUSAL_BYTES = 16_384
const REFUSAL_MS = 5_000

/** The XRPC error name in a refused upgrade, if there is one and it comes in time. */
async function refusalName(response: IncomingMessage): Promise<string | undefined> {
  const deadline = setTimeout(() => response.destroy(), REFUSAL_MS)
  try {
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) {
      text += String(chunk)
      if (text.length > MAX_REFUSAL_BYTES) return undefined
    }
    const value: unknown = JSON.parse(text)
    if (value === null || typeof value !== 'object' || !('error' in value)) return undefined
    return typeof value.error === 'string' ? value.error.slice(0, 128) : undefined
  } catch {
    return undefined
  } finally {
    clearTimeout(deadline)
  }
}
