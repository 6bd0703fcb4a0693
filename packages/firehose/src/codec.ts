import type { RepoEvent, WireEvent } from './event.ts'
import { InvalidFrameError } from './errors.ts'

/** What can be known of a frame without touching its blocks. */
export interface FramePeek {
  /** 1 for a message, -1 for an error. */
  readonly op: number
  /** `#commit` and so on; `undefined` in an error frame. */
  readonly type: string | undefined
  readonly seq: number | undefined
  readonly did: string | undefined
  /** Revision, of a `#commit` or `#sync`. */
  readonly rev: string | undefined
  /** Paths of a `#commit`'s operations, in wire order. */
  readonly paths: readonly string[]
}

/** The complete frame of an event, with `seq` inside it. */
export function encodeEvent(event: WireEvent, seq: number): Uint8Array {
  throw new InvalidFrameError(`${event.type} ${String(seq)}`)
}

/**
 * Reads one frame of a `subscribeRepos` stream.
 *
 * Byte fields are views into `frame`. Unknown fields are ignored.
 *
 * @throws {InvalidFrameError} when the bytes are no frame or the body has not the shape of its type.
 * @throws {UnknownFrameError} for an unknown `op` or message type.
 * @throws {StreamError} {@link FutureCursorError} {@link ConsumerTooSlowError} for an error frame, by its name.
 */
export function decodeEvent(frame: Uint8Array): WireEvent {
  throw new InvalidFrameError(String(frame.length))
}

/** Reads type, seq, account, rev and op paths of a frame without decoding or copying its blocks. */
export function peekFrame(frame: Uint8Array): FramePeek {
  throw new InvalidFrameError(String(frame.length))
}

/** The same frame with another `seq`; every other byte, known or not, stays as it was. */
export function patchSeq(frame: Uint8Array, seq: number): Uint8Array {
  throw new InvalidFrameError(`${String(frame.length)} ${String(seq)}`)
}

export type { RepoEvent }
