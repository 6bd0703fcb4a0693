import type { IdentityResolver } from './identity-resolver.ts'

/**
 * Looks TXT records up: one inner array per record, of its chunks. Rejects with `code` `ENOTFOUND` or `ENODATA` when
 * there are none (what `node:dns` does).
 */
export type ResolveTxt = (
  name: string,
  options?: { readonly signal?: AbortSignal },
) => Promise<readonly (readonly string[])[]>

/** Options of {@link createResolver}. */
export interface ResolverOptions {
  /**
   * Origins of PLC directories, tried in order.
   * @defaultValue `https://plc.directory`
   */
  readonly plcUrl?: string | readonly string[]
  /** @defaultValue `globalThis.fetch` */
  readonly fetch?: typeof globalThis.fetch
  /** DNS; without it handles are asked over DNS-over-HTTPS when `dohUrl` is given, and over HTTPS. */
  readonly resolveTxt?: ResolveTxt
  readonly dohUrl?: string
  /**
   * Development: `http:` endpoints, `localhost`, ports and the `.test` domain are allowed.
   * @defaultValue false
   */
  readonly dev?: boolean
  /** @defaultValue `Date.now` */
  readonly now?: () => number
}

/** A resolver with its own cache. */
export declare function createResolver(options?: ResolverOptions): IdentityResolver
