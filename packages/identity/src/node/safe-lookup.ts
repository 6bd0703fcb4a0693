import type { LookupFunction } from 'node:net'
import { defaultAddresses } from './dns-addresses.ts'
import type { ResolveAddresses } from './dns-addresses.ts'
import { createCheckedLookup } from './pinned-fetch.ts'

/** Options of {@link createSafeLookup}. */
export interface SafeLookupOptions {
  /**
   * Development: private addresses are given too.
   * @defaultValue false
   */
  readonly dev?: boolean
  /** @defaultValue DNS; in development the system's resolver (`dns.lookup`), which reads the hosts file too */
  readonly resolveAddresses?: ResolveAddresses
}

/**
 * A `lookup` for `node:net` and what is built on it (WebSockets, say), for names that strangers chose: the address that
 * is checked is the address that is connected to. Names that lead to an address outside the public internet fail with
 * {@link ForbiddenAddressError}. Addresses written as such are never looked up: refuse those before.
 */
export function createSafeLookup(options: SafeLookupOptions = {}): LookupFunction {
  const { dev = false, resolveAddresses = defaultAddresses(dev) } = options
  return createCheckedLookup(resolveAddresses, dev)
}
