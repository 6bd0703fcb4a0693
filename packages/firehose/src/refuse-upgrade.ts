import type { Duplex } from 'node:stream'

/** Answers an upgrade request with an HTTP error and ends the connection. */
export function refuseUpgrade(
  socket: Duplex,
  status: '400 Bad Request' | '503 Service Unavailable',
  text = '',
): void {
  // Nobody else listens any more: unheard, a reset by the client would end the process.
  socket.on('error', () => {
    socket.destroy()
  })
  // Node keeps such sockets half open, for as long as the other side likes.
  socket.once('finish', () => {
    socket.destroy()
  })
  const body = new TextEncoder().encode(text)
  const head = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: ${String(body.length)}\r\n\r\n`
  socket.write(head)
  socket.end(body)
}
