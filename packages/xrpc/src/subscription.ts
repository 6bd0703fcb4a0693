import type { CompiledMethod } from './compiled-method.ts'
import { ValidationError, XrpcError } from './errors.ts'
import { decodeFrame } from './frame.ts'
import { frameEncoder, splitMessage } from './subprotocol.ts'
import type { FrameData, Negotiated, Subprotocol } from './subprotocol.ts'

/** How a stream ended, for the WebSocket close frame. */
export interface StreamEnd {
  readonly closeCode: number
  readonly reason: string
}

/** An accepted subscription: frames to send one after the other, and how to close when they end. */
export interface Subscription {
  readonly frames: AsyncGenerator<FrameData, StreamEnd, void>
  /** What the handshake has to name as the subprotocol; `undefined` when the client offered none that is spoken. */
  readonly subprotocol: Subprotocol | undefined
  /** An error frame in the framing of this stream. */
  readonly encodeError: (name: string, message?: string) => FrameData
}

const CLOSE_NORMAL: StreamEnd = { closeCode: 1000, reason: '' }
/** Policy violation: what the reference sends after an error frame. */
const CLOSE_POLICY = 1008

/**
 * Encodes what a subscription handler yields. An {@link XrpcError} becomes an error frame with its name; any other
 * failure is reported and becomes `InternalServerError`.
 */
export function openSubscription(
  nsid: string,
  items: AsyncIterable<unknown>,
  { subprotocol, offered }: Negotiated,
  report: (error: unknown) => void,
): Subscription {
  const encoder = frameEncoder(nsid, subprotocol)
  async function* frames(): AsyncGenerator<FrameData, StreamEnd, void> {
    try {
      let last: unknown
      for await (const item of items) {
        last = item
        yield encoder.message(item)
      }
      return endAfter(last)
    } catch (error) {
      const known = error instanceof XrpcError && error.status !== 500
      if (!known) report(error)
      const name = known ? error.error : 'InternalServerError'
      yield encoder.error(name, known ? error.message : 'internal server error')
      return { closeCode: CLOSE_POLICY, reason: name }
    }
  }
  return {
    frames: frames(),
    subprotocol: offered ? subprotocol : undefined,
    encodeError: (name, message) => encoder.error(name, message),
  }
}

/** How a stream ends whose handler has returned: an error frame it encoded itself counts like one it threw. */
function endAfter(last: unknown): StreamEnd {
  if (!(last instanceof Uint8Array)) return CLOSE_NORMAL
  try {
    const frame = decodeFrame(last)
    return frame.op === -1 ? { closeCode: CLOSE_POLICY, reason: frame.error } : CLOSE_NORMAL
  } catch {
    // Not a frame: what the handler sends is its own affair.
    return CLOSE_NORMAL
  }
}

/**
 * What a handler yields, each message checked against the lexicon before it is passed on as it is. Encoded frames are not
 * looked at.
 *
 * @throws {ValidationError} when a message does not match the lexicon, or the lexicon has none of its name
 * @throws {InvalidDataError} when it is no message of this subscription, or not a data-model value
 */
export async function* checkedMessages(
  method: CompiledMethod,
  items: AsyncIterable<unknown>,
): AsyncGenerator<unknown, void, void> {
  for await (const item of items) {
    if (!(item instanceof Uint8Array)) {
      const { type, body } = splitMessage(method.nsid, item)
      const $type = method.nsid + type
      if (!method.messageTypes.includes($type)) {
        throw new ValidationError(`no message of this subscription, $type=${$type}`)
      }
      method.readMessage({ ...body, $type })
    }
    yield item
  }
}
