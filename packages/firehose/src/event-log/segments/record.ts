import { crc32 } from 'node:zlib'
import type { LogAppend, LogEntry } from '../port.ts'
import { MAX_DID_LENGTH, MAX_FRAME_BYTES } from '../../limits.ts'

/** First bytes of every segment file; the digit is the format's version. */
export const SEGMENT_MAGIC: Uint8Array = new TextEncoder().encode('SKYSEG2\n')

/** Length and checksum before each record. */
const PREFIX_BYTES = 8
/** seq, time and the lengths of DID and note before DID, note and frame. */
const FIXED_BYTES = 20
/** Longest note of an event. */
const MAX_NOTE_BYTES = 8_192
const MAX_BODY_BYTES = FIXED_BYTES + MAX_DID_LENGTH + MAX_NOTE_BYTES + MAX_FRAME_BYTES

/** An event to be appended with something its writer wants to find beside it. */
export interface SegmentAppend extends LogAppend {
  /** At most 8 KiB. Never served: only for whoever reads the log itself. */
  readonly note?: Uint8Array | undefined
}

/** A stored event with its note; empty when it has none. */
export interface SegmentEntry extends LogEntry {
  readonly note: Uint8Array
}

const encoder: TextEncoder = new TextEncoder()
const decoder: TextDecoder = new TextDecoder()

/**
 * `[u32 length][u32 crc32 of the body]` and the body:
 * `[f64 seq][f64 time][u16 DID length][u16 note length][DID][note][frame]`, little-endian.
 */
export function encodeRecord({ seq, did, frame, atMs, note }: SegmentEntry): Uint8Array {
  const name = encoder.encode(did)
  if (name.length > MAX_DID_LENGTH) throw new RangeError('did too long')
  if (note.length > MAX_NOTE_BYTES) throw new RangeError('note too long')
  if (frame.length > MAX_FRAME_BYTES) throw new RangeError('frame too long')
  const length = FIXED_BYTES + name.length + note.length + frame.length
  const bytes = new Uint8Array(PREFIX_BYTES + length)
  const view = new DataView(bytes.buffer)
  view.setFloat64(8, seq, true)
  view.setFloat64(16, atMs, true)
  view.setUint16(24, name.length, true)
  view.setUint16(26, note.length, true)
  const nameAt = PREFIX_BYTES + FIXED_BYTES
  bytes.set(name, nameAt)
  bytes.set(note, nameAt + name.length)
  bytes.set(frame, nameAt + name.length + note.length)
  view.setUint32(0, length, true)
  view.setUint32(4, crc32(bytes.subarray(PREFIX_BYTES)), true)
  return bytes
}

/** What stands at a place of a segment. */
export type ReadRecord =
  | { readonly kind: 'entry'; readonly entry: SegmentEntry; readonly end: number }
  /** The bytes end inside the record; `need` bytes from its start would hold all of it, as far as is known. */
  | { readonly kind: 'short'; readonly need: number }
  /** Length or checksum is wrong. */
  | { readonly kind: 'damaged' }

/**
 * Finds the next record that holds, from `from` on. Looks for a DID where one must be before it computes a checksum, so
 * that megabytes of noise are searched in milliseconds.
 *
 * @returns its offset, or `undefined` when none does.
 */
export function findRecord(bytes: Uint8Array, from: number): number | undefined {
  for (let at = from; at + PREFIX_BYTES + FIXED_BYTES + 4 <= bytes.length; at++) {
    const did = at + PREFIX_BYTES + FIXED_BYTES
    if (bytes[did] !== 0x64 || bytes[did + 1] !== 0x69 || bytes[did + 2] !== 0x64) continue
    if (bytes[did + 3] !== 0x3a) continue
    if (readRecord(bytes, at).kind === 'entry') return at
  }
  return undefined
}

/** Reads the record at `at`. Frame and note are views of `bytes`. */
export function readRecord(bytes: Uint8Array, at: number): ReadRecord {
  if (bytes.length - at < PREFIX_BYTES) return { kind: 'short', need: PREFIX_BYTES }
  const view = new DataView(bytes.buffer, bytes.byteOffset + at)
  const length = view.getUint32(0, true)
  if (length < FIXED_BYTES || length > MAX_BODY_BYTES) return { kind: 'damaged' }
  const end = at + PREFIX_BYTES + length
  if (end > bytes.length) return { kind: 'short', need: PREFIX_BYTES + length }
  const body = bytes.subarray(at + PREFIX_BYTES, end)
  if (crc32(body) !== view.getUint32(4, true)) return { kind: 'damaged' }
  const noteAt = FIXED_BYTES + view.getUint16(24, true)
  const frameAt = noteAt + view.getUint16(26, true)
  if (frameAt > length) return { kind: 'damaged' }
  const entry = {
    seq: view.getFloat64(8, true),
    atMs: view.getFloat64(16, true),
    did: decoder.decode(body.subarray(FIXED_BYTES, noteAt)),
    note: body.subarray(noteAt, frameAt),
    frame: body.subarray(frameAt),
  }
  return { kind: 'entry', entry, end }
}
