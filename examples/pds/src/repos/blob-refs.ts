import { asCid } from '@skywright/repo'
import { InvalidRequestError } from '@skywright/xrpc'

/** One blob reference inside a record. */
export interface BlobReference {
  /** CID as text. */
  readonly cid: string
  readonly mimeType: string
  readonly size: number
}

/**
 * Finds every blob reference of a record, at any depth.
 *
 * @throws {InvalidRequestError} when something that calls itself a blob has not the shape of one, or
 *   has the shape from before 2023, which new records must not use.
 */
export function findBlobReferences(record: unknown): readonly BlobReference[] {
  const found: BlobReference[] = []
  const waiting: unknown[] = [record]
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (Array.isArray(value)) waiting.push(...(value as readonly unknown[]))
    else if (isMap(value)) {
      if (value['$type'] === 'blob') found.push(readReference(value))
      else if (isLegacyReference(value)) throw invalid('legacy blob references are not accepted')
      else waiting.push(...Object.values(value))
    }
  }
  return found
}

type Map = Readonly<Record<string, unknown>>

function isMap(value: unknown): value is Map {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof Uint8Array) &&
    asCid(value) === undefined
  )
}

function isLegacyReference(value: Map): boolean {
  return (
    typeof value['cid'] === 'string' &&
    typeof value['mimeType'] === 'string' &&
    Object.keys(value).length === 2
  )
}

function readReference(value: Map): BlobReference {
  const cid = asCid(value['ref'])
  const { mimeType, size } = value
  if (cid === undefined) throw invalid('a blob needs a link in ref')
  if (typeof mimeType !== 'string' || mimeType === '') throw invalid('a blob needs a mimeType')
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw invalid('a blob needs a size of zero or more bytes')
  }
  return { cid: cid.toString(), mimeType, size }
}

function invalid(message: string): InvalidRequestError {
  return new InvalidRequestError(message)
}
