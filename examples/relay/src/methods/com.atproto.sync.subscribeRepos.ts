import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { serveEvents, type EventLog } from '@skywright/firehose'
import {
  createEventSockets,
  type EventSockets,
  type EventSocketsOptions,
} from '@skywright/firehose/ws'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'

const NSID = 'com.atproto.sync.subscribeRepos'

/** The merged firehose, as the router knows it: what answers a call that is no WebSocket. */
export function subscribeRepos({ log }: { readonly log: EventLog }): XrpcMethod {
  return defineMethod(relayLexicons, NSID, {
    handler: ({ params: { cursor }, signal }) => serveEvents(log, { cursor, signal }),
  })
}

/**
 * The merged firehose: replay after `cursor`, then live.
 *
 * Every event is made into WebSocket bytes once and the same bytes go to all subscribers, which is why this does not go
 * through the router.
 */
export function attachSubscribeRepos(
  server: Server,
  log: EventLog,
  {
    maxSubscribers,
    isReady = () => true,
    ...options
  }: EventSocketsOptions & {
    readonly maxSubscribers: number
    /** Whether anybody is served now. */
    readonly isReady?: () => boolean
  },
): EventSockets {
  const sockets = createEventSockets(log, options)
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    const [path] = (request.url ?? '').split('?')
    if (path !== `/xrpc/${NSID}`) refuse(socket, '404 Not Found')
    else if (!isReady() || sockets.size >= maxSubscribers) {
      refuse(socket, '503 Service Unavailable')
    } else sockets.upgrade(request, socket, head)
  })
  return sockets
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}
