import { connect, type Socket } from 'node:net'
import { once } from 'node:events'

const CONNECTIONS = 32

/**
 * Sends one GET over and over on open connections, one request at a time on each, and counts the answers. It only looks
 * for the status line, so that the client costs far less than the server it measures.
 */
export class HttpLoad implements AsyncDisposable {
  readonly #sockets: Socket[]
  readonly #request: Buffer

  private constructor(sockets: Socket[], request: Buffer) {
    this.#sockets = sockets
    this.#request = request
  }

  static async open(url: string): Promise<HttpLoad> {
    const { hostname, port, host, pathname, search } = new URL(url)
    const sockets = await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        const socket = connect(Number(port), hostname)
        await once(socket, 'connect')
        return socket.setNoDelay(true)
      }),
    )
    return new HttpLoad(
      sockets,
      Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
    )
  }

  /** Sends `count` requests; resolves when all are answered with 200. */
  async run(count: number): Promise<number> {
    let left = count
    await Promise.all(
      this.#sockets.map(
        (socket) =>
          new Promise<void>((resolve, reject) => {
            const next = (): boolean => {
              if (left === 0) return false
              left -= 1
              socket.write(this.#request)
              return true
            }
            let waiting = ''
            const onData = (chunk: Buffer): void => {
              waiting += chunk.toString('latin1')
              if (!isComplete(waiting)) return
              if (!waiting.startsWith('HTTP/1.1 200 '))
                return end(new Error(`not a success: ${waiting.slice(0, 200)}`))
              waiting = ''
              if (!next()) end()
            }
            const onClose = (): void => end(new Error('the server closed the connection'))
            const end = (error?: Error): void => {
              socket.off('data', onData).off('close', onClose)
              if (error === undefined) resolve()
              else reject(error)
            }
            socket.on('data', onData).on('close', onClose)
            if (!next()) end()
          }),
      ),
    )
    return count
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** Whether a whole answer has arrived: its headers, and a body of the length they name or with its last chunk. */
function isComplete(answer: string): boolean {
  const head = answer.indexOf('\r\n\r\n')
  if (head < 0) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(answer)?.[1]
  return length === undefined
    ? answer.endsWith('0\r\n\r\n')
    : answer.length >= head + 4 + Number(length)
}
