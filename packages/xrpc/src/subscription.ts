import { InvalidDataError, XrpcError } from './errors.ts'
import { fromJson } from './data-model.ts'
import { encodeErrorFrame, encodeMessageFrame } from './frame.ts'

/** How a stream ended, for the WebSocket close frame. */
export interface StreamEnd {
  readonly closeCode: number
  readonly reason: string
}

/** An accepted subscription: frames to send one after the other, and how to close when they end. */
export interface Subscription {
  readonly frames: AsyncGenerator<Uint8Array, StreamEnd, void>
}

const CLOSE_NORMAL: StreamEnd = { closeCode: 1000, reason: '' }
/** Policy violation: what the reference sends after an error frame. */
const CLOSE_POLICY = 1008

/**
 * Encodes what a subscription handler yields. An {@link XrpcError} becomes an error frame with its name; any other
 * failure is reported and becomes `InternalServerError`.
 */
export async function* subscriptionFrames(
  nsid: string,
  items: AsyncIterable<unknown>,
  report: (error: unknown) => void,
): AsyncGenerator<Uint8Array, StreamEnd, void> {
  try {
    for await (const item of items) {
      yield item instanceof Uint8Array ? item : encodeMessage(nsid, item)
    }
    return CLOSE_NORMAL
  } catch (error) {
    const known = error instanceof XrpcError && error.status !== 500
    if (!known) report(error)
    const name = known ? error.error : 'InternalServerError'
    yield encodeErrorFrame(name, known ? error.message : 'internal server error')
    return { closeCode: CLOSE_POLICY, reason: name }
  }
}

/**
 * Encodes one message, given with its `$type`: the fragment (`#commit`) or the whole name.
 *
 * @throws {InvalidDataError} when it has no `$type` of this subscription, or is not a data-model value
 */
export function encodeMessage(nsid: string, message: unknown): Uint8Array {
  const value = fromJson(message)
  if (typeof value !== 'object' || value === null) throw new InvalidDataError('', 'not an object')
  const { $type, ...body } = value as Record<string, unknown>
  if (typeof $type !== 'string') throw new InvalidDataError('', 'message without $type')
  for (const key of Object.keys(body)) if (body[key] === undefined) delete body[key]
  if ($type.startsWith('#')) return encodeMessageFrame($type, body)
  const fragment = $type.startsWith(`${nsid}#`) ? $type.slice(nsid.length) : undefined
  if (fragment === undefined) {
    throw new InvalidDataError('', `message of another lexicon, $type=${$type}`)
  }
  return encodeMessageFrame(fragment, body)
}
