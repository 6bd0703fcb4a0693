import type { RepoFetcher } from '@skywright/appview-indexer'
import type { IdentityResolver } from '@skywright/identity'

export interface RepoFetcherOptions {
  readonly resolver: Pick<IdentityResolver, 'resolveIdentity'>
  /** Must refuse private addresses: the URL comes from a DID document. */
  readonly fetch: typeof globalThis.fetch
}

/** Fetches whole repositories from the PDS of their account and verifies them. */
export declare function createRepoFetcher(options: RepoFetcherOptions): RepoFetcher
