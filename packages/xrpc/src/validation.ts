import { BlobRef as LexiconBlobRef, LexiconDefNotFoundError } from '@atproto/lexicon'
import { isCidLink, setOwn } from './data-model.ts'
import { InvalidLexiconError, ValidationError } from './errors.ts'

/**
 * The validator of `@atproto/lexicon` knows blobs only as instances of its own class. This gives the value with
 * each plain blob wrapped so, copying only the way down to them. `legacy` wraps `{ cid, mimeType }` too.
 */
export function wrapBlobs(value: unknown, legacy: boolean): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i]
      const changed = wrapBlobs(item, legacy)
      if (changed !== item) (copy ??= [...(value as unknown[])])[i] = changed
    }
    return copy ?? value
  }
  if (value instanceof Uint8Array || isCidLink(value)) return value
  const source = value as Record<string, unknown>
  const blob = asBlob(source, legacy)
  if (blob !== undefined) return blob
  let copy: Record<string, unknown> | undefined
  for (const key of Object.keys(source)) {
    const item = source[key]
    if (typeof item !== 'object' || item === null) continue
    const changed = wrapBlobs(item, legacy)
    if (changed !== item) setOwn((copy ??= { ...source }), key, changed)
  }
  return copy ?? value
}

type BlobArguments = ConstructorParameters<typeof LexiconBlobRef>

function asBlob(value: Record<string, unknown>, legacy: boolean): LexiconBlobRef | undefined {
  const { $type, ref, mimeType, size, cid } = value
  // The wrapper only carries the original through the validator, which asks for nothing but its class.
  const original = value as unknown as BlobArguments[3]
  if ($type === 'blob' && isCidLink(ref) && typeof mimeType === 'string') {
    return new LexiconBlobRef(ref as BlobArguments[0], mimeType, Number(size), original)
  }
  if (!legacy || $type !== undefined || typeof cid !== 'string') return undefined
  if (typeof mimeType !== 'string' || Object.keys(value).length !== 2) return undefined
  return new LexiconBlobRef(undefined as unknown as BlobArguments[0], mimeType, -1, original)
}

/** Undoes {@link wrapBlobs}: every wrapper becomes the plain object it was made of. */
export function unwrapBlobs(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof LexiconBlobRef) return value.original
  if (value instanceof Uint8Array || isCidLink(value)) return value
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i]
      const changed = unwrapBlobs(item)
      if (changed !== item) (copy ??= [...(value as unknown[])])[i] = changed
    }
    return copy ?? value
  }
  const source = value as Record<string, unknown>
  let copy: Record<string, unknown> | undefined
  for (const key of Object.keys(source)) {
    const item = source[key]
    if (typeof item !== 'object' || item === null) continue
    const changed = unwrapBlobs(item)
    if (changed !== item) setOwn((copy ??= { ...source }), key, changed)
  }
  return copy ?? value
}

/** What the validator threw, as an error of this package: a document that is missing is not the value's fault. */
export function validationFailure(cause: unknown): ValidationError | InvalidLexiconError {
  if (cause instanceof ValidationError) return cause
  const message = cause instanceof Error ? cause.message : 'does not match the lexicon'
  if (!(cause instanceof LexiconDefNotFoundError)) return new ValidationError(message, { cause })
  return new InvalidLexiconError(message.replace(/^.*lex:/, ''), 'not in the catalog', { cause })
}
