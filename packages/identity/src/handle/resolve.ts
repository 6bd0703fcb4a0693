import { IdentityError } from '../errors.ts'
import { resolveHandleByDns } from './dns.ts'
import type { ResolveTxt } from './dns.ts'
import { resolveHandleByHttps } from './https.ts'

/** How a handle was resolved. */
export type HandleMethod = 'dns' | 'doh' | 'https'

/** Means of resolving handles. */
export interface HandleMeans {
  readonly fetch: typeof globalThis.fetch
  readonly resolveTxt: ResolveTxt | undefined
  /** What `resolveTxt` is. */
  readonly txtMethod: 'dns' | 'doh'
  readonly timeoutMs: number
}

/**
 * Asks DNS and HTTPS at once. DNS wins whenever it has an answer, an ambiguous or malformed one included; HTTPS
 * decides when DNS has none. Only when both say "not found" is the handle not found: when one could not be asked, that
 * is the error, since the other's "not found" proves nothing.
 * @throws {HandleNotFoundError} when every way says there is none
 * @throws {HandleAmbiguousError} when DNS names several DIDs
 * @throws {ResolutionFailedError} when there was no usable answer
 * @see {@link https://atproto.com/specs/handle#handle-resolution}
 */
export async function resolveHandleByNetwork(
  handle: string,
  means: HandleMeans,
  signal: AbortSignal,
): Promise<{ readonly did: string; readonly method: HandleMethod }> {
  const { fetch, resolveTxt, txtMethod, timeoutMs } = means
  const decided = new AbortController()
  const httpsSignal = AbortSignal.any([signal, decided.signal])
  const https = settle(resolveHandleByHttps(handle, { fetch, timeoutMs, signal: httpsSignal }))
  if (resolveTxt !== undefined) {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const dns = await settle(resolveHandleByDns(handle, resolveTxt, bounded))
    signal.throwIfAborted()
    if (dns.ok) {
      decided.abort()
      return { did: dns.value, method: txtMethod }
    }
    if (!(dns.error instanceof IdentityError) || dns.error.family === 'Invalid') {
      decided.abort()
      throw dns.error
    }
    if (dns.error.family === 'CouldNotAsk') {
      const answer = await https
      signal.throwIfAborted()
      if (answer.ok) return { did: answer.value, method: 'https' }
      throw dns.error
    }
  }
  const answer = await https
  signal.throwIfAborted()
  if (answer.ok) return { did: answer.value, method: 'https' }
  throw answer.error
}

type Settled<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

async function settle<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { ok: true, value: await promise }
  } catch (error) {
    return { ok: false, error }
  }
}
