import { UpstreamFailureError, type XrpcReply } from '@skywright/xrpc'

/** Most bytes of an answer that this server reads itself rather than passing it on. */
const MAX_BYTES = 1024 * 1024

/**
 * Reads the JSON object in a passed-on answer.
 *
 * @throws {UpstreamFailureError} when there is none, or it is too large.
 */
export async function readJsonReply({ body }: XrpcReply): Promise<object> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    // The proxy answers with a stream of bytes, or nothing.
    for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes > MAX_BYTES) throw new RangeError('answer is too large')
      chunks.push(chunk)
    }
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString())
    if (typeof value === 'object' && value !== null) return value
    throw new TypeError('answer is no object')
  } catch (cause) {
    throw new UpstreamFailureError('the service answered something else than JSON', { cause })
  }
}
