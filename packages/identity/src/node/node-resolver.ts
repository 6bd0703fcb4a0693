import type { ResolveTxt } from '../handle/dns.ts'
import type { IdentityResolver } from '../resolver/identity-resolver.ts'
import { createResolver } from '../resolver/resolver.ts'
import type { ResolverOptions } from '../resolver/resolver-options.ts'
import { createDnsResolver } from './dns-addresses.ts'
import { createSafeFetch } from './safe-fetch.ts'

/** TXT lookups by the system's DNS servers, or by the ones named (`1.1.1.1`, `[::1]:5353`). */
export function createNodeResolveTxt(servers?: readonly string[]): ResolveTxt {
  const resolver = createDnsResolver(servers)
  return (name) => resolver.resolveTxt(name)
}

/**
 * `createResolver` for servers: Node's DNS, and the guarded fetch for everything a stranger can name. The directory is
 * reached by the ordinary `fetch`, since you chose it.
 */
export function createNodeResolver(options: ResolverOptions = {}): IdentityResolver {
  const { dev = false, resolveTxt = createNodeResolveTxt() } = options
  const publicFetch = options.publicFetch ?? createSafeFetch({ dev })
  return createResolver({ ...options, resolveTxt, publicFetch })
}
