import { InvalidPlcOperationError, ResponseTooLargeError } from '../errors.ts'

/** Bytes of a request body; the reference server's bound. */
const MAX_BODY_BYTES = 102_400

/**
 * The JSON body of a request, read within bounds.
 * @throws {ResponseTooLargeError} when it is longer than 100 kB
 * @throws {InvalidPlcOperationError} when it is not JSON, or ends before its end
 */
export async function readRequestJson(request: Request): Promise<unknown> {
  const chunks: string[] = []
  const decoder = new TextDecoder()
  let length = 0
  if (request.body !== null) {
    const reader = request.body.getReader()
    try {
      for (;;) {
        const { done, value } = await reader.read().catch((cause: unknown) => {
          throw new InvalidPlcOperationError('body cut off', { cause })
        })
        if (done) break
        length += value.length
        if (length > MAX_BODY_BYTES) throw new ResponseTooLargeError(request.url, MAX_BODY_BYTES)
        chunks.push(decoder.decode(value, { stream: true }))
      }
    } finally {
      reader.cancel().catch(() => undefined)
    }
  }
  try {
    return JSON.parse(chunks.join('') + decoder.decode())
  } catch (cause) {
    throw new InvalidPlcOperationError('body is not JSON', { cause })
  }
}
