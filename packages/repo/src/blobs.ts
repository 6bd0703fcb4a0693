import { asCid, type Cid, cidKey, CODEC_RAW } from './cid.ts'
import { InvalidDataError } from './errors.ts'
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
  return isTyped(value) && describeBadBlob(value) === undefined
}

/** Tells whether a value claims to be a blob, well-formed or not. */
function isTyped(value: unknown): value is Readonly<Record<string, unknown>> {
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
  if (isTyped(value)) {
    const problem = describeBadBlob(value)
    if (problem !== undefined) throw new InvalidDataError(problem, '')
    const ref = asCid(value['ref'])
    if (ref !== undefined) found.set(cidKey(ref), ref)
    return
  }
  for (const item of Object.values(value)) collect(item, found, depth + 1)
}
