import { FetchFailedError } from '../errors.ts'
import { query, readBytes, type FetchLike } from '../resync/request.ts'

/** Far more than any dictionary in use. */
const MAX_DICTIONARY_BYTES = 1_048_576
const TIMEOUT_MS = 30_000
/** First bytes of a zstd dictionary; its number is behind them ({@link https://www.rfc-editor.org/rfc/rfc8878#section-5}). */
const DICTIONARY_MAGIC = 0xec30a437
/** First bytes of a zstd frame. */
const FRAME_MAGIC = 0xfd2fb528

/**
 * Decompresses one zstd frame made with a dictionary.
 *
 * @param maxBytes larger results must be refused before they are made.
 */
export type DecompressZstd = (
  frame: Uint8Array,
  dictionary: Uint8Array,
  maxBytes: number,
) => Uint8Array

/** Compresses bytes into one zstd frame with a dictionary. */
export type CompressZstd = (bytes: Uint8Array, dictionary: Uint8Array) => Uint8Array

/** Whether the bytes begin like a zstd frame, as no JSON does. */
export function isZstdFrame(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && firstWord(bytes) === FRAME_MAGIC
}

/** The number of a dictionary. @throws {TypeError} when the bytes are none. */
export function dictionaryId(dictionary: Uint8Array): number {
  if (dictionary.length < 8 || firstWord(dictionary) !== DICTIONARY_MAGIC)
    throw new TypeError('no zstd dictionary')
  return new DataView(dictionary.buffer, dictionary.byteOffset).getUint32(4, true)
}

function firstWord(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

/**
 * Asks a Jetstream v2 for its current dictionary.
 *
 * @throws {FetchFailedError} when it gives none.
 */
export async function fetchDictionary(
  service: string,
  fetch: FetchLike,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const url = new URL(service)
  if (url.protocol === 'wss:') url.protocol = 'https:'
  if (url.protocol === 'ws:') url.protocol = 'http:'
  const response = await query(
    url.href,
    'network.bsky.jetstream.getZstdDictionary',
    {},
    { fetch, signal, timeoutMs: TIMEOUT_MS },
  )
  if ('error' in response) throw new FetchFailedError(url.host, response.error, response)
  const dictionary = await readBytes(response, MAX_DICTIONARY_BYTES)
  if (dictionary === undefined) throw new FetchFailedError(url.host, 'dictionary too large')
  try {
    dictionaryId(dictionary)
  } catch (cause) {
    throw new FetchFailedError(url.host, 'no zstd dictionary', { cause })
  }
  return dictionary
}
