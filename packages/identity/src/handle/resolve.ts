import { IdentityError } from '../errors.ts'

/** How a handle was resolved. */
export type HandleMethod = 'dns' | 'doh' | 'https'

/** One way of asking for a handle's DID. */
export type AskForHandle = (handle: string, signal: AbortSignal) => Promise<string>

/** Ways of asking for handles. */
export interface HandleMeans {
  readonly https: AskForHandle
  readonly dns: AskForHandle | undefined
  /** What `dns` is. */
  readonly dnsMethod: 'dns' | 'doh'
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
  const decided = new AbortController()
  const https = settle(means.https(handle, AbortSignal.any([signal, decided.signal])))
  if (means.dns !== undefined) {
    const dns = await settle(means.dns(handle, signal))
    signal.throwIfAborted()
    if (dns.ok) {
      decided.abort()
      return { did: dns.value, method: means.dnsMethod }
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
