// Subscribers in a process of their own. Each counts the bytes it gets; their least count goes to the parent.
//   node fan-out-clients.ts PORT COUNT
import { connect } from 'node:net'

const [port = '', count = ''] = process.argv.slice(2)
const received: number[] = []
let reported = 0

for (let i = 0; i < Number(count); i++) {
  const socket = connect(Number(port), '127.0.0.1')
  received[i] = 0
  let greeted = false
  socket.write(
    'GET /xrpc/com.atproto.sync.subscribeRepos HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n' +
      'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  socket.on('data', (chunk: Buffer) => {
    let bytes = chunk.length
    if (!greeted) {
      const end = chunk.indexOf('\r\n\r\n')
      // The answer to the handshake comes in one piece, or this throws.
      if (!chunk.toString('latin1').startsWith('HTTP/1.1 101') || end === -1)
        throw new Error('no upgrade')
      greeted = true
      bytes -= end + 4
      process.send?.({ greeted: true })
    }
    received[i] = (received[i] ?? 0) + bytes
    report()
  })
  socket.on('error', (error) => {
    throw error
  })
}

function report(): void {
  const least = Math.min(...received)
  if (least === reported) return
  reported = least
  process.send?.({ least })
}

process.once('disconnect', () => process.exit(0))
