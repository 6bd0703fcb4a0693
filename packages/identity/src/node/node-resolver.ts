import type { IdentityResolver } from '../resolver/identity-resolver.ts'
import type { ResolverOptions } from '../resolver/resolver.ts'

/** `createResolver` with Node's DNS and the address-checking fetch as defaults. */
export declare function createNodeResolver(options?: ResolverOptions): IdentityResolver
