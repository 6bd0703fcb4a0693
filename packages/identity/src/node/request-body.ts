import type { IncomingMessage } from 'node:http'

/**
 * The body of a request as a Web stream. What a reader does not want is read and dropped: the connection goes on, and
 * whoever is still sending gets to see the answer.
 */
export function requestBody(message: IncomingMessage): ReadableStream<Uint8Array> {
  let open = true
  message.pause()
  return new ReadableStream<Uint8Array>({
    start(controller) {
      message.on('data', (chunk: Uint8Array) => {
        if (!open) return
        controller.enqueue(chunk)
        if ((controller.desiredSize ?? 0) <= 0) message.pause()
      })
      message.once('end', () => {
        if (open) controller.close()
        open = false
      })
      message.once('error', (error) => {
        if (open) controller.error(error)
        open = false
      })
    },
    pull() {
      message.resume()
    },
    cancel() {
      open = false
      message.resume()
    },
  })
}
