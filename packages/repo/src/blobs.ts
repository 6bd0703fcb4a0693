import { asCid, type Cid, cidKey, CODEC_RAW, parseCid } from './cid.ts'
import { InvalidCidError, InvalidDataError } from './errors.ts'
import { MAX_NESTING } from './limits.ts'

/** A blob as a record references it. @see {@link https://atproto.com/specs/data-model#blob-type} */
export interface Blob {
  readonly $type: 'blob'
  readonly ref: Cid
  readonly mimeType: string
  /** Bytes. */
  readonly size: number
}

/** Tells whether a data-model value is a well-formed blob. */
export function isBlob(value: unknown): value is Blob {
  return claimsToBeBlob(value) && describeBadBlob(value) === undefined
}

/** Tells whether a value claims to be a blob, well-formed or not. */
function claimsToBeBlob(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && '$type' in value && value.$type === 'blob'
}

/** Gives what is wrong with a value of `$type` blob; undefined when nothing is. */
export function describeBadBlob(value: Readonly<Record<string, unknown>>): string | undefined {
  const ref = asCid(value['ref'])
  if (ref === undefined || ref.version !== 1 || ref.code !== CODEC_RAW)
    return 'blob ref is not a raw cid'
  const { mimeType, size } = value
  if (typeof mimeType !== 'string' || mimeType.length === 0) return 'blob without mimeType'
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    return 'blob size is not a length'
  return undefined
}

/** What a blob of either form tells. */
export interface BlobRef {
  readonly ref: Cid
  readonly mimeType: string
  /** Bytes; undefined in the legacy form, which does not tell. */
  readonly size: number | undefined
}

/**
 * Reads a blob of today's form or of the legacy one (`cid` as text and `mimeType`, no `$type`). Only a lexicon tells where a
 * blob is expected: ask this only there, because any record may have such fields. The legacy form is never to be written.
 *
 * Gives undefined when the value is neither.
 */
export function parseBlobRef(value: unknown): BlobRef | undefined {
  if (isBlob(value)) return { ref: value.ref, mimeType: value.mimeType, size: value.size }
  if (typeof value !== 'object' || value === null || '$type' in value) return undefined
  if (!('cid' in value) || !('mimeType' in value)) return undefined
  const { cid, mimeType } = value
  if (typeof cid !== 'string' || typeof mimeType !== 'string' || mimeType.length === 0)
    return undefined
  try {
    return { ref: parseCid(cid), mimeType, size: undefined }
  } catch (error) {
    if (error instanceof InvalidCidError) return undefined
    throw error
  }
}

/**
 * Gives the CIDs of all blobs in a data-model value, at any depth, each once.
 *
 * @throws {InvalidDataError} when something with `$type` blob is no well-formed blob, or the value is nested too deeply.
 */
export function collectBlobs(value: unknown): readonly Cid[] {
  const found = new Map<string, Cid>()
  collect(value, found, 0)
  return [...found.values()]
}

function collect(value: unknown, found: Map<string, Cid>, depth: number): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return
  if (depth > MAX_NESTING) throw new InvalidDataError('nested too deeply', '')
  if (Array.isArray(value)) {
    for (const item of value) collect(item, found, depth + 1)
    return
  }
  if (asCid(value) !== undefined) return
  if (claimsToBeBlob(value)) {
    const problem = describeBadBlob(value)
    if (problem !== undefined) throw new InvalidDataError(problem, '')
    const ref = asCid(value['ref'])
    if (ref !== undefined) found.set(cidKey(ref), ref)
    return
  }
  for (const item of Object.values(value)) collect(item, found, depth + 1)
}
