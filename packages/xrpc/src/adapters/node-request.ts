import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { HeaderReader, XrpcRequest, XrpcResponse } from '../request.ts'

/** A minute in which not one byte was taken. */
const STALL_TIMEOUT_MS = 60_000
/** What the network takes at once; the usual short answers are not worth a timer. */
const UNWATCHED_BYTES = 16_384

/** A Node request in the router's shape; what few handlers need is made when asked for. */
export class NodeRequest implements XrpcRequest {
  readonly method: string
  readonly url: string
  readonly headers: HeaderReader
  readonly #message: IncomingMessage
  readonly #closed: (listener: () => void) => void
  readonly #ip: () => string | undefined
  #signal: AbortSignal | undefined

  /**
   * @param closed - registers a listener that runs when the caller goes away early, at once if already gone
   * @param ip - gives the caller's address, which takes time to find and is seldom asked for
   */
  constructor(
    message: IncomingMessage,
    closed: (listener: () => void) => void,
    url: string,
    ip: () => string | undefined,
  ) {
    this.#message = message
    this.#closed = closed
    this.method = message.method ?? 'GET'
    this.url = url
    this.#ip = ip
    this.headers = new NodeHeaders(message)
  }

  get ip(): string | undefined {
    return this.#ip()
  }

  get body(): AsyncIterable<Uint8Array> | null {
    const { headers } = this.#message
    if (headers['transfer-encoding'] !== undefined) return this.#message
    const length = headers['content-length']
    return length === undefined || length === '0' ? null : this.#message
  }

  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const controller = new AbortController()
      this.#signal = controller.signal
      this.#closed(() => controller.abort())
    }
    return this.#signal
  }
}

class NodeHeaders implements HeaderReader {
  readonly #message: IncomingMessage
  constructor(message: IncomingMessage) {
    this.#message = message
  }
  get(name: string): string | null {
    const value = this.#message.headers[name] ?? this.#message.headers[name.toLowerCase()]
    if (value === undefined) return null
    return typeof value === 'string' ? value : value.join(', ')
  }
}

/** Path and query of a request's target, which proxies send with the whole URL in front. */
export function pathOf(target: string | undefined): string {
  if (target === undefined) return '/'
  return target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?#]*(?=\/)/i, '')
}

/** The router's shape of a request and the response it belongs to. */
export function fromNode(
  message: IncomingMessage,
  response: ServerResponse,
  url: string,
  ip: () => string | undefined,
): NodeRequest {
  const closed = (listener: () => void): void => {
    if (response.destroyed && !response.writableFinished) listener()
    else {
      response.once('close', () => {
        if (!response.writableFinished) listener()
      })
    }
  }
  return new NodeRequest(message, closed, url, ip)
}

/** Options of {@link writeNode}. */
export interface WriteOptions {
  /**
   * How long a caller may take nothing of an answer that waits for it before the connection is cut.
   * @defaultValue 60,000
   */
  readonly stallTimeoutMs?: number
}

/** Writes an answer out, at the pace the caller reads it. Never rejects. */
export async function writeNode(
  answer: XrpcResponse,
  message: IncomingMessage,
  response: ServerResponse,
  options: WriteOptions = {},
): Promise<void> {
  const { stallTimeoutMs = STALL_TIMEOUT_MS } = options
  const { status, headers, body } = answer
  // A body that was refused must not be read to its end only to keep the connection.
  const connection = message.complete || !hasBody(message) ? {} : { connection: 'close' }
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    const length = body === undefined ? 0 : Buffer.byteLength(body)
    // A HEAD answer has no body and must not claim that the GET would have none either.
    const isHead = message.method === 'HEAD'
    const sized = isHead || status === 204 || status === 304 ? {} : { 'content-length': length }
    response.writeHead(status, { ...headers, ...connection, ...sized })
    response.end(body)
    if (length > UNWATCHED_BYTES) watchStall(message.socket, response, stallTimeoutMs)
    return
  }
  response.writeHead(status, { ...headers, ...connection })
  try {
    for await (const chunk of body) {
      if (response.destroyed) return
      if (!response.write(chunk)) await drained(message.socket, response, stallTimeoutMs)
    }
    response.end()
    watchStall(message.socket, response, stallTimeoutMs)
  } catch {
    // The status line is out; only a broken connection can still say that the body is not whole.
    response.destroy()
  }
}

function hasBody(message: IncomingMessage): boolean {
  const length = message.headers['content-length']
  return (
    message.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
  )
}

/**
 * Node starts a socket's timeout anew whenever some of what is written was taken, and cuts the connection when it is over:
 * slow readers stay, those that take nothing go. Only set while there is something to take, as handlers may take their time.
 */
function watchStall(socket: Socket, response: ServerResponse, timeoutMs: number): void {
  if (response.writableFinished || socket.destroyed) return
  const before = socket.timeout ?? 0
  socket.setTimeout(timeoutMs)
  // In front of Node's own listener, which sets the time that a kept connection may be idle.
  response.prependOnceListener('finish', () => socket.setTimeout(before))
}

async function drained(socket: Socket, response: ServerResponse, timeoutMs: number): Promise<void> {
  const before = socket.timeout ?? 0
  socket.setTimeout(timeoutMs)
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.setTimeout(before)
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
    if (response.destroyed) done()
  })
}
