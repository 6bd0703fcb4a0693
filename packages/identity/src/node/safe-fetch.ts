import { createGuardedFetch } from '../guarded-fetch.ts'
import type { GuardedFetchOptions } from '../guarded-fetch.ts'
import type { ResolveAddresses } from './dns-addresses.ts'
import { createPinnedFetch } from './pinned-fetch.ts'

/** Options of {@link createSafeFetch}. */
export interface SafeFetchOptions extends Omit<GuardedFetchOptions, 'fetch'> {
  /** @defaultValue DNS; in development the system's resolver (`dns.lookup`), which reads the hosts file too */
  readonly resolveAddresses?: ResolveAddresses
  /**
   * Connections to one host at a time; further requests wait.
   * @defaultValue 8
   */
  readonly maxSocketsPerHost?: number
}

/**
 * A `fetch` for URLs that strangers chose. Everything `createGuardedFetch` checks, and the addresses behind names:
 * they are looked up once, checked, and connected to, so a name cannot change between check and use. Holds a pool of
 * connections: make one and share it.
 *
 * Rejects with {@link ForbiddenAddressError} when a URL, redirect or address is refused.
 */
export function createSafeFetch(options: SafeFetchOptions = {}): typeof globalThis.fetch {
  const { resolveAddresses, maxSocketsPerHost, ...guard } = options
  const fetch = createPinnedFetch({
    allowPrivate: options.dev === true,
    resolveAddresses,
    maxSocketsPerHost,
  })
  return createGuardedFetch({ ...guard, fetch })
}
