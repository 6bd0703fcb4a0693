import { checkCbor } from './cbor.ts'
import { MAJOR_MAP } from './cbor-reader.ts'
import { InvalidCborError, LimitExceededError } from './errors.ts'
import { MAX_RECORD_BYTES } from './limits.ts'

/** Whether records must be canonical CBOR (`strict`), or are taken as opaque bytes whose hash is right (`tolerant`). */
export type RecordMode = 'strict' | 'tolerant'

/**
 * Checks the bytes of a record: its size, and in strict mode that they are one canonical map.
 *
 * @throws {LimitExceededError} when they pass {@link MAX_RECORD_BYTES}.
 * @throws {InvalidCborError} when they are not canonical (strict mode).
 */
export function checkRecordBytes(bytes: Uint8Array, mode: RecordMode): void {
  if (bytes.length > MAX_RECORD_BYTES) {
    throw new LimitExceededError('recordBytes', MAX_RECORD_BYTES, bytes.length)
  }
  if (mode === 'tolerant') return
  if ((bytes[0] ?? 0) >> 5 !== MAJOR_MAP) throw new InvalidCborError('record is not a map', 0)
  checkCbor(bytes)
}
