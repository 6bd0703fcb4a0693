import type { HeaderReader, XrpcRequest } from './request.ts'
import type { FrameData } from './subprotocol.ts'
import type { StreamEnd, Subscription } from './subscription.ts'

/** The part of a standard `WebSocket` that subscriptions are sent through. */
export interface ServerSocket {
  readonly readyState: number
  /** Absent where the runtime does not tell, as on Workers; then nothing slows the stream down. */
  readonly bufferedAmount?: number
  send(data: Uint8Array<ArrayBuffer> | string): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void
}

/**
 * Turns an upgrade request into a socket and the response that completes the handshake, which names `protocol` as its
 * subprotocol when there is one.
 */
export type UpgradeWebSocket = (
  request: Request,
  options: { readonly protocol?: string },
) => {
  readonly socket: ServerSocket
  readonly response: Response
}

type SendData = Parameters<ServerSocket['send']>[0]

const CONNECTING = 0
const OPEN = 1
const CLOSE_POLICY = 1008
const MAX_BUFFERED_BYTES = 1_048_576
const SLOW_CONSUMER_TIMEOUT_MS = 30_000
/** Standard sockets tell how full they are, not when they have emptied. */
const POLL_MS = 20
/** Frames sent before others get their turn: a source that is always ready would never let go of the event loop. */
const FRAMES_PER_TURN = 64

/** A request whose caller is gone when its socket is, which a runtime's own request does not know. */
export function withSignal(request: XrpcRequest, signal: AbortSignal): XrpcRequest {
  const { method, url, ip } = request
  const headers: HeaderReader = request.headers
  return { method, url, ip, headers, body: null, signal }
}

/** Sends the frames of a subscription through a standard socket. Never rejects. */
export async function pumpToSocket(
  socket: ServerSocket,
  { frames, encodeError }: Subscription,
  gone: AbortController,
): Promise<void> {
  const closed = new Promise<undefined>((resolve) => {
    const over = (): void => {
      gone.abort()
      resolve(undefined)
    }
    socket.addEventListener('close', over)
    socket.addEventListener('error', over)
  })
  try {
    if (socket.readyState === CONNECTING) await Promise.race([opened(socket), closed])
    let step: IteratorResult<FrameData, StreamEnd> = await frames.next()
    let sent = 0
    while (!gone.signal.aborted && socket.readyState === OPEN) {
      if (step.done === true) {
        socket.close(step.value.closeCode, step.value.reason)
        return
      }
      socket.send(step.value as SendData)
      if (!(await drained(socket, gone.signal))) {
        socket.send(encodeError('ConsumerTooSlow') as SendData)
        socket.close(CLOSE_POLICY, 'ConsumerTooSlow')
        return
      }
      if (++sent % FRAMES_PER_TURN === 0) await turn(0)
      step = await frames.next()
    }
  } catch {
    socket.close(CLOSE_POLICY)
  } finally {
    gone.abort()
    frames.return({ closeCode: CLOSE_POLICY, reason: '' }).catch(() => undefined)
  }
}

async function opened(socket: ServerSocket): Promise<undefined> {
  return new Promise((resolve) => {
    socket.addEventListener('open', () => resolve(undefined))
  })
}

async function drained(socket: ServerSocket, signal: AbortSignal): Promise<boolean> {
  for (let waited = 0; (socket.bufferedAmount ?? 0) > MAX_BUFFERED_BYTES; waited += POLL_MS) {
    if (signal.aborted || socket.readyState !== OPEN) return true
    if (waited >= SLOW_CONSUMER_TIMEOUT_MS) return false
    await turn(POLL_MS)
  }
  return true
}

async function turn(ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms)
  })
}
