import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { close, listen } from './plc.ts'

const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** A host that means no good. */
export interface BadHost extends AsyncDisposable {
  readonly hostname: string
  /** Bytes handed to the network so far. */
  readonly sent: () => number
  /** WebSockets opened so far. */
  readonly connections: () => number
}

export interface BadHostOptions {
  /** How `describeServer` is answered. @defaultValue as a PDS does */
  readonly describe?: (response: ServerResponse, request: IncomingMessage) => void
  /** What is written to an open WebSocket again and again, as fast as it is taken: raw bytes; `undefined` ends it. */
  readonly write?: (count: number) => Uint8Array | undefined
}

/** Starts one on loopback, with no library between it and the wire. */
export async function startBadHost({ describe, write }: BadHostOptions): Promise<BadHost> {
  let connections = 0
  const sockets = new Set<Socket>()
  let closedBytes = 0
  const server = createServer((request, response) => {
    if (request.url !== '/xrpc/com.atproto.server.describeServer') {
      response.writeHead(404).end()
    } else if (describe === undefined) {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end('{"did":"did:web:localhost","availableUserDomains":[]}')
    } else describe(response, request)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      closedBytes += socket.bytesWritten
    })
  })
  server.on('upgrade', (request, socket) => {
    connections++
    const key = request.headers['sec-websocket-key'] ?? ''
    const accept = createHash('sha1').update(`${key}${WEBSOCKET_GUID}`).digest('base64')
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n' +
        `sec-websocket-accept: ${accept}\r\n\r\n`,
    )
    // Answers are taken and not looked at.
    socket.resume()
    let count = 0
    const pump = (): void => {
      while (!socket.destroyed) {
        const bytes = write?.(count++)
        if (bytes === undefined) {
          if (write !== undefined) socket.end()
          return
        }
        if (!socket.write(bytes)) {
          socket.once('drain', () => setImmediate(pump))
          return
        }
      }
    }
    pump()
  })
  const port = await listen(server)
  return {
    hostname: `localhost:${String(port)}`,
    sent: () => [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, closedBytes),
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      // Those that were upgraded are no longer the server's to close.
      for (const socket of sockets) socket.destroy()
      await close(server)
    },
  }
}

/** A WebSocket frame as servers send them: with any opcode, final or not. */
export function webSocketFrame(opcode: number, payload: Uint8Array, isFinal = true): Uint8Array {
  const header = Buffer.alloc(10)
  header[0] = (isFinal ? 0x80 : 0) | opcode
  header[1] = 127
  header.writeBigUInt64BE(BigInt(payload.length), 2)
  return Buffer.concat([header, payload])
}
