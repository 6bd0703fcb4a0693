/**
 * Frontier: JSON frames for subscriptions, after proposal 0015 in its draft of 2026-06-18. Off unless asked for; names and
 * shapes follow the draft and may change with it.
 *
 * @see {@link https://github.com/bluesky-social/proposals/tree/main/0015-json-subscriptions}
 */
import { fromJson, toJson } from './data-model.ts'
import { InvalidDataError, InvalidFrameError } from './errors.ts'
import { decodeFrame, encodeErrorFrame, encodeMessageFrame, MAX_FRAME_BYTES } from './frame.ts'
import type { Frame } from './frame.ts'

/** Two DAG-CBOR items in one binary message: what a stream speaks when nothing else is agreed on. */
export const CBOR_SUBPROTOCOL = 'xrpc.v0.cbor'
/** One JSON object in one text message. */
export const JSON_SUBPROTOCOL = 'xrpc.v1.json'

/** A framing of subscriptions that this package speaks. */
export type Subprotocol = typeof CBOR_SUBPROTOCOL | typeof JSON_SUBPROTOCOL

/** One WebSocket message: binary when bytes, text when text. */
export type FrameData = Uint8Array | string

/** What {@link negotiate} finds. */
export interface Negotiated {
  readonly subprotocol: Subprotocol
  /** Whether the client offered it, so that the handshake names it. */
  readonly offered: boolean
}

/** The framings a server speaks. */
export function supported(json: boolean): readonly Subprotocol[] {
  return json ? [JSON_SUBPROTOCOL, CBOR_SUBPROTOCOL] : [CBOR_SUBPROTOCOL]
}

/** Picks the first of the client's offers that the server speaks, else the default of the stream. */
export function negotiate(
  header: string | null,
  known: readonly Subprotocol[],
  usual: Subprotocol,
): Negotiated {
  const offers = header?.split(',').map((offer) => offer.trim()) ?? []
  for (const offer of offers) {
    const match = known.find((name) => name === offer)
    if (match !== undefined) return { subprotocol: match, offered: true }
  }
  return { subprotocol: usual, offered: false }
}

/** Writes the frames of one stream. */
export interface FrameEncoder {
  /**
   * A message given with its `$type`, the fragment or the whole name, or as an encoded v0 frame.
   * @throws {InvalidDataError} when it has no `$type` of this subscription, or is not a data-model value
   */
  message(item: unknown): FrameData
  error(name: string, message?: string): FrameData
}

/** The encoder of a framing. */
export function frameEncoder(nsid: string, subprotocol: Subprotocol): FrameEncoder {
  if (subprotocol === CBOR_SUBPROTOCOL) {
    return {
      message: (item) => (item instanceof Uint8Array ? item : encodeMessage(nsid, item)),
      error: encodeErrorFrame,
    }
  }
  return {
    message: (item) =>
      item instanceof Uint8Array
        ? jsonOfFrame(nsid, decodeFrame(item, { maxBytes: Number.MAX_SAFE_INTEGER }))
        : jsonMessage(nsid, splitMessage(nsid, item)),
    error: jsonError,
  }
}

/**
 * Encodes one message, given with its `$type`: the fragment (`#commit`) or the whole name.
 *
 * @throws {InvalidDataError} when it has no `$type` of this subscription, or is not a data-model value
 */
export function encodeMessage(nsid: string, message: unknown): Uint8Array {
  const { type, body } = splitMessage(nsid, message)
  return encodeMessageFrame(type, body)
}

/** A message as frames have it: the fragment, and what it names. */
export interface SplitMessage {
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * Takes the `$type` off a message, given as the fragment or the whole name.
 *
 * @throws {InvalidDataError} when it has none of this subscription, or is not a data-model value
 */
export function splitMessage(nsid: string, message: unknown): SplitMessage {
  const value = fromJson(message)
  if (typeof value !== 'object' || value === null) throw new InvalidDataError('', 'not an object')
  const { $type, ...body } = value as Record<string, unknown>
  if (typeof $type !== 'string') throw new InvalidDataError('', 'message without $type')
  for (const key of Object.keys(body)) if (body[key] === undefined) delete body[key]
  if ($type.startsWith('#')) return { type: $type, body }
  if ($type.startsWith(`${nsid}#`)) return { type: $type.slice(nsid.length), body }
  throw new InvalidDataError('', `message of another lexicon, $type=${$type}`)
}

function jsonOfFrame(nsid: string, frame: Frame): string {
  if (frame.op === 1) return jsonMessage(nsid, frame)
  if (frame.op === -1) return jsonError(frame.error, frame.message)
  throw new InvalidDataError('', `frame with an unknown operation, op=${frame.code}`)
}

function jsonMessage(nsid: string, { type, body }: SplitMessage): string {
  const payload = { $type: nsid + type, ...(toJson(body) as object) }
  return JSON.stringify({ $type: 'message', payload })
}

function jsonError(error: string, message?: string): string {
  return JSON.stringify({ $type: 'error', error, message })
}

/**
 * Decodes one JSON frame. The `type` of a message is the whole name. Objects of a kind that the draft does not know come
 * out as unknown frames with code 0.
 *
 * @throws {InvalidFrameError} when the text is no frame; the reader then drops the connection
 */
export function decodeJsonFrame(text: string, options: { readonly maxBytes?: number } = {}): Frame {
  const { maxBytes = MAX_FRAME_BYTES } = options
  if (text.length > maxBytes) throw new InvalidFrameError(`too long, maxBytes=${maxBytes}`)
  const value = objectOf(parse(text), 'frame')
  const { $type, payload, error, message } = value
  if (typeof $type !== 'string') throw new InvalidFrameError('object without $type')
  if ($type === 'message') {
    const { $type: type, ...body } = objectOf(payload, 'payload')
    if (typeof type !== 'string') throw new InvalidFrameError('payload without $type')
    return { op: 1, type, body }
  }
  if ($type !== 'error') return { op: 'unknown', code: 0, type: $type, body: value }
  if (typeof error !== 'string' || error === '') throw new InvalidFrameError('error without a name')
  return { op: -1, error, message: typeof message === 'string' ? message : undefined }
}

function parse(text: string): unknown {
  try {
    return fromJson(JSON.parse(text))
  } catch (cause) {
    throw new InvalidFrameError('bad JSON', { cause })
  }
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (
    typeof value !== 'object' ||
    value === null ||
    Object.getPrototypeOf(value) !== Object.prototype
  ) {
    throw new InvalidFrameError(`${what} is not an object`)
  }
  return value as Readonly<Record<string, unknown>>
}
