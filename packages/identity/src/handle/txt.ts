import { isPlcDid, parseDid } from '../did.ts'
import {
  HandleAmbiguousError,
  HandleNotFoundError,
  IdentityError,
  ResolutionFailedError,
} from '../errors.ts'

/** Label put before a handle for its TXT record. */
export const TXT_LABEL = '_atproto.'
/** Longest handle that still fits a DNS name with `_atproto.` before it. */
export const MAX_DNS_HANDLE_CHARS = 244

const PREFIX = 'did='

/**
 * The DID that TXT records name. Chunks of a record are joined; values without `did=` are ignored.
 * @throws {HandleNotFoundError} when no record has a `did=` value
 * @throws {HandleAmbiguousError} when records name different DIDs
 * @throws {ResolutionFailedError} when the value is not a DID
 * @see {@link https://atproto.com/specs/handle#dns-txt-method}
 */
export function didFromTxtRecords(
  handle: string,
  records: readonly (readonly string[])[],
  step: 'dns' | 'doh',
): string {
  const values = new Set(
    records
      .map((chunks) => chunks.join(''))
      .filter((value) => value.startsWith(PREFIX))
      .map((value) => value.slice(PREFIX.length)),
  )
  const [did] = values
  if (did === undefined) throw new HandleNotFoundError(handle, step)
  if (values.size > 1) throw new HandleAmbiguousError(handle, [...values], { step })
  return checkDid(handle, did, step)
}

/**
 * Text that a handle's owner published, as a DID.
 * @throws {ResolutionFailedError} when it is not a DID of a method in use
 */
export function checkDid(handle: string, text: string, step: 'dns' | 'doh' | 'https'): string {
  if (isPlcDid(text)) return text
  try {
    return parseDid(text, { dev: true }).did
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause
    throw new ResolutionFailedError(handle, step, 'published value is not a DID', {
      retryable: false,
      cause,
    })
  }
}
