import { decodeFrame, encodeMessageFrame } from '@skywright/xrpc/frame'
import { FutureCursorError, InvalidFrameError, StreamError, UnknownFrameError } from '../errors.ts'
import { readLabel, type SignedLabel } from './label.ts'

/** Most labels in one message. */
export const MAX_LABELS_PER_MESSAGE = 1_000

/** A `#labels` message, or an `#info`. */
export type LabelMessage =
  | {
      readonly type: 'labels'
      readonly seq: number
      readonly labels: readonly SignedLabel[]
      /** Fields for which labels of the message were left out. */
      readonly wrong: readonly string[]
    }
  | { readonly type: 'info'; readonly name: string; readonly message?: string }

/** The frame of a `#labels` message: give it to an event log. */
export function encodeLabels(labels: readonly SignedLabel[], seq: number): Uint8Array {
  if (labels.length > MAX_LABELS_PER_MESSAGE) {
    throw new RangeError(`too many labels in one message; labels=${String(labels.length)}`)
  }
  return encodeMessageFrame('#labels', { seq, labels: labels.map((label) => ({ ...label })) })
}

/**
 * Reads a frame of `subscribeLabels`. A label of the wrong shape is left out and named, the others are given.
 *
 * @throws {InvalidFrameError} {@link UnknownFrameError} {@link FutureCursorError} {@link StreamError} as `decodeEvent`.
 */
export function decodeLabels(frame: Uint8Array): LabelMessage {
  let decoded: ReturnType<typeof decodeFrame>
  try {
    decoded = decodeFrame(frame)
  } catch (cause) {
    throw new InvalidFrameError('bad CBOR', { cause })
  }
  if (decoded.op === 'unknown') throw new UnknownFrameError(decoded.code, decoded.type)
  if (decoded.op === -1) {
    if (decoded.error === 'FutureCursor') throw new FutureCursorError(undefined)
    throw new StreamError(decoded.error, decoded.message)
  }
  const { type, body } = decoded
  if (type === '#info') {
    const { name, message } = body
    if (typeof name !== 'string') throw new InvalidFrameError('bad field name', { part: 'body' })
    return { type: 'info', name, ...(typeof message === 'string' ? { message } : {}) }
  }
  if (type !== '#labels') throw new UnknownFrameError(1, type)
  const { seq, labels: list } = body
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1) {
    throw new InvalidFrameError('bad field seq', { part: 'body' })
  }
  if (!Array.isArray(list) || list.length > MAX_LABELS_PER_MESSAGE) {
    throw new InvalidFrameError('bad field labels', { part: 'body' })
  }
  const labels: SignedLabel[] = []
  const wrong: string[] = []
  for (const one of list) {
    const label = readLabel(one)
    if ('wrong' in label) wrong.push(label.wrong)
    else labels.push(label)
  }
  return { type: 'labels', seq, labels, wrong }
}
