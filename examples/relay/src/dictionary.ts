import { readFileSync } from 'node:fs'
import { compressZstd } from '@skywright/firehose/zstd'

/** First bytes of a zstd dictionary: https://www.rfc-editor.org/rfc/rfc8878#section-5 */
const MAGIC = 0xec30a437
const MIN_BYTES = 8

/**
 * Reads a zstd dictionary. Any other bytes would do for compressing, and nobody could read what comes out.
 *
 * @throws {Error} when the file cannot be read, or is none.
 */
export function readDictionary(path: string): Uint8Array {
  const bytes = readFileSync(path)
  if (bytes.length < MIN_BYTES || bytes.readUInt32LE() !== MAGIC) {
    throw new Error('it does not begin like one')
  }
  try {
    compressZstd(new Uint8Array(1), bytes)
  } catch (cause) {
    throw new Error('it is damaged', { cause })
  }
  return bytes
}
