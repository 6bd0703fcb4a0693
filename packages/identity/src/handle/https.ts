import { fetchBounded } from '../bounded-fetch.ts'
import type { BoundedResponse } from '../bounded-fetch.ts'
import { HandleNotFoundError, IdentityError, ResolutionFailedError } from '../errors.ts'
import { checkDid } from './txt.ts'

/** Bytes of the answer; a DID has at most 2,048. */
const MAX_ANSWER_BYTES = 2048

/**
 * Asks a handle's own web server for its DID.
 * @throws {HandleNotFoundError} when it answers 404 or 410
 * @throws {ResolutionFailedError} when it does not answer, or answers with something that is not a DID
 * @see {@link https://atproto.com/specs/handle#https-well-known-method}
 */
export async function resolveHandleByHttps(
  handle: string,
  options: {
    readonly fetch: typeof globalThis.fetch
    readonly timeoutMs: number
    readonly signal: AbortSignal
  },
): Promise<string> {
  const fail = (reason: string, retryable: boolean, cause?: unknown): ResolutionFailedError =>
    new ResolutionFailedError(handle, 'https', reason, {
      retryable,
      ...(cause === undefined ? {} : { cause }),
    })
  let response: BoundedResponse
  try {
    response = await fetchBounded(`https://${handle}/.well-known/atproto-did`, {
      ...options,
      maxBytes: MAX_ANSWER_BYTES,
      redirect: 'follow',
      accept: 'text/plain, */*;q=0.1',
    })
  } catch (cause) {
    if (cause instanceof IdentityError) throw fail(cause.message, cause.retryable, cause)
    throw fail('no answer', true, cause)
  }
  const { status, text } = response
  if (status === 404 || status === 410) throw new HandleNotFoundError(handle, 'https')
  if (status < 200 || status >= 300) {
    throw fail(`status ${status}`, status >= 500 || status === 429 || status === 408)
  }
  return checkDid(handle, text.trim(), 'https')
}
