/**
 * Event-stream v0 frames: one WebSocket message is one DAG-CBOR header followed by one DAG-CBOR payload.
 *
 * @see {@link https://atproto.com/specs/event-stream#framing}
 * @packageDocumentation
 */
import { decodeCborPrefix, encodeCbor, encodeCborSequence } from '@skywright/repo/cbor'
import { InvalidFrameError } from './errors.ts'

export { InvalidFrameError } from './errors.ts'

/** 5 MB: the hard limit of a subscribeRepos message, used for every stream unless told otherwise. */
export const MAX_FRAME_BYTES = 5_000_000
/** No header known to the protocol comes near this many bytes. */
const MAX_HEADER_BYTES = 1_024
/** A type is a lexicon fragment; indefinitely long ones are an attack. */
const MAX_TYPE_LENGTH = 512

/** A regular message. `type` is the fragment as on the wire (`#commit`), `body` carries no `$type`. */
export interface MessageFrame {
  readonly op: 1
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
}

/** The last frame of a stream that failed. */
export interface ErrorFrame {
  readonly op: -1
  readonly error: string
  readonly message: string | undefined
}

/** A well-formed frame with an operation that this version does not know. Readers skip it. */
export interface UnknownFrame {
  readonly op: 'unknown'
  /** The operation number of the header. */
  readonly code: number
  readonly type: string | undefined
  readonly body: unknown
}

/** Everything {@link decodeFrame} gives. A message of a type the reader does not know is still a message. */
export type Frame = MessageFrame | ErrorFrame | UnknownFrame

/** A decoded frame header and where the payload starts. */
export interface FrameHeader {
  readonly op: number
  /** Present on messages; the fragment as on the wire (`#commit`). */
  readonly type: string | undefined
  /** Offset of the first payload byte. */
  readonly bodyOffset: number
}

/** Options of {@link decodeFrame}. */
export interface DecodeFrameOptions {
  /**
   * Longest frame accepted, in bytes.
   * @defaultValue {@link MAX_FRAME_BYTES}
   */
  readonly maxBytes?: number
}

/**
 * Encodes a message frame.
 *
 * @param type - the fragment, with its number sign: `#commit`
 * @param body - a data-model object without `$type`, which the header replaces
 * @throws {TypeError} when `type` does not start with `#`, is too long, or the body carries `$type`
 */
export function encodeMessageFrame(
  type: string,
  body: Readonly<Record<string, unknown>>,
): Uint8Array {
  if ('$type' in body) throw new TypeError('a frame body carries no $type; the header names it')
  return encodeCborSequence([headerOf(type), body])
}

/**
 * Encodes only the header of a message frame, for writers that encode or patch the payload themselves.
 *
 * @throws {TypeError} when `type` does not start with `#` or is too long
 */
export function encodeMessageHeader(type: string): Uint8Array {
  return encodeCbor(headerOf(type))
}

function headerOf(type: string): { readonly op: 1; readonly t: string } {
  if (!type.startsWith('#') || type.length < 2 || type.length > MAX_TYPE_LENGTH) {
    throw new TypeError(`type must be a fragment such as #commit; type=${type.slice(0, 64)}`)
  }
  return { op: 1, t: type }
}

/** Encodes an error frame. The sender closes the connection right after it. */
export function encodeErrorFrame(error: string, message?: string): Uint8Array {
  if (error === '') throw new TypeError('error must not be empty')
  const body = message === undefined ? { error } : { error, message }
  return encodeCborSequence([{ op: -1 }, body])
}

/**
 * Decodes one frame: exactly two items, nothing after them.
 *
 * Byte strings in the body may be views of `bytes`.
 *
 * @throws {InvalidFrameError} when the bytes are not a frame; the reader then drops the connection
 */
export function decodeFrame(bytes: Uint8Array, options: DecodeFrameOptions = {}): Frame {
  const { maxBytes = MAX_FRAME_BYTES } = options
  if (bytes.length > maxBytes) {
    throw new InvalidFrameError(`too long, bytes=${bytes.length}, maxBytes=${maxBytes}`)
  }
  const { op, type, bodyOffset } = decodeFrameHeader(bytes)
  const { value: body, end } = decodeItem(bytes, bodyOffset)
  if (end !== bytes.length)
    throw new InvalidFrameError(`${bytes.length - end} bytes after the payload`)
  if (op === 1) {
    if (type === undefined) throw new InvalidFrameError('message header without t')
    if (!isObject(body)) throw new InvalidFrameError('message payload is not an object')
    return { op: 1, type, body }
  }
  if (op === -1) {
    if (!isObject(body)) throw new InvalidFrameError('error payload is not an object')
    const { error, message } = body
    if (typeof error !== 'string' || error === '')
      throw new InvalidFrameError('error without a name')
    return { op: -1, error, message: typeof message === 'string' ? message : undefined }
  }
  return { op: 'unknown', code: op, type, body }
}

/**
 * Decodes only the header, leaving the payload unread.
 *
 * @throws {InvalidFrameError} when the header is not one
 */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader {
  const { value, end } = decodeItem(bytes.subarray(0, MAX_HEADER_BYTES), 0)
  if (!isObject(value)) throw new InvalidFrameError('header is not an object')
  const { op, t } = value
  if (typeof op !== 'number' || !Number.isSafeInteger(op)) {
    throw new InvalidFrameError('header without an integer op')
  }
  if (t !== undefined && (typeof t !== 'string' || t.length > MAX_TYPE_LENGTH)) {
    throw new InvalidFrameError('header with a t that is not text')
  }
  return { op, type: t, bodyOffset: end }
}

function decodeItem(bytes: Uint8Array, offset: number): { value: unknown; end: number } {
  try {
    return decodeCborPrefix(bytes, offset)
  } catch (cause) {
    throw new InvalidFrameError('bad CBOR', { cause })
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  if (value === null || typeof value !== 'object') return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
