import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { EventLog } from '@skywright/firehose'
import {
  createEventSockets,
  createJetstreamSockets,
  type EventSocketsOptions,
} from '@skywright/firehose/ws'
import { compressZstd } from '@skywright/firehose/zstd'

/** What takes the WebSockets of one path. */
interface StreamSockets extends AsyncDisposable {
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void
  readonly size: number
}

export interface StreamsOptions extends EventSocketsOptions {
  /** Open sockets of all streams together. */
  readonly maxSubscribers: number
  /** Whether the log is served as a Jetstream at `/subscribe` too. */
  readonly jetstream: boolean
  /** The zstd dictionary by which its messages are compressed for those who ask. */
  readonly jetstreamDictionary?: Uint8Array | undefined
  /** Whether anybody is served now. */
  readonly isReady?: () => boolean
}

/** Everybody who listens. Disposing it tells all of them that the server goes away. */
export interface Streams extends AsyncDisposable {
  readonly size: number
}

/**
 * Serves a log over WebSockets: as `com.atproto.sync.subscribeRepos`, replay after `cursor`, then live; and, where
 * wanted, as Jetstream v1 at `/subscribe`, filtered here and as JSON.
 *
 * Every event is made into WebSocket bytes once and the same bytes go to all subscribers of the former, which is why this
 * does not go through the router. Nothing is compressed per connection: that costs more than all the rest.
 */
export function serveStreams(
  server: Server,
  log: EventLog,
  {
    maxSubscribers,
    jetstream,
    jetstreamDictionary,
    isReady = () => true,
    ...options
  }: StreamsOptions,
): Streams {
  const paths = new Map<string, StreamSockets>([
    ['/xrpc/com.atproto.sync.subscribeRepos', createEventSockets(log, options)],
  ])
  const zstd =
    jetstreamDictionary === undefined
      ? undefined
      : { compress: compressZstd, dictionary: jetstreamDictionary }
  if (jetstream) paths.set('/subscribe', createJetstreamSockets(log, { zstd }))
  const size = (): number => [...paths.values()].reduce((sum, sockets) => sum + sockets.size, 0)
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    const [path = ''] = (request.url ?? '').split('?')
    const sockets = paths.get(path)
    if (sockets === undefined) refuse(socket, '404 Not Found')
    else if (!isReady() || size() >= maxSubscribers) refuse(socket, '503 Service Unavailable')
    else sockets.upgrade(request, socket, head)
  })
  return {
    get size() {
      return size()
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...paths.values()].map((sockets) => sockets[Symbol.asyncDispose]()))
    },
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}
