import { isValidHandle } from '@atproto/syntax'
import { isAllowedTld } from './did.ts'
import { InvalidSyntaxError } from './errors.ts'

/** The placeholder shown instead of a handle that does not check out. Never valid as input. */
export const INVALID_HANDLE = 'handle.invalid'

/** Options of {@link parseHandle}. */
export interface ParseHandleOptions {
  /**
   * Development: allow `.test`.
   * @defaultValue false
   */
  readonly dev?: boolean
}

/**
 * A handle that may be resolved, in lower case.
 * @throws {InvalidSyntaxError} when the text is not a handle, is `handle.invalid`, or ends in a reserved top-level domain
 * @see {@link https://atproto.com/specs/handle#handle-identifier-syntax}
 */
export function parseHandle(text: string, options: ParseHandleOptions = {}): string {
  if (!isValidHandle(text)) throw new InvalidSyntaxError('handle', text, 'not a handle')
  const handle = text.toLowerCase()
  if (handle === INVALID_HANDLE) {
    throw new InvalidSyntaxError('handle', text, 'handle.invalid is a placeholder, not a handle')
  }
  if (!isAllowedTld(handle, options.dev === true)) {
    throw new InvalidSyntaxError('handle', text, 'reserved top-level domain')
  }
  return handle
}
