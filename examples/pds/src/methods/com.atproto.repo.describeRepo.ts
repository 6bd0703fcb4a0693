import { getHandle, IdentityError, type IdentityResolver } from '@skywright/identity'
import { defineMethod, UpstreamFailureError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { requireReadableRepo } from '../accounts/local-account.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Describes an account and the collections in its repo. */
export function describeRepo(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly resolver: IdentityResolver
}): XrpcMethod {
  const { auth, accounts, repos, resolver } = options
  return defineMethod(atproto, 'com.atproto.repo.describeRepo', {
    auth: auth.optionalSession,
    async handler({ params, auth: session, signal }) {
      const { did, handle } = requireReadableRepo(accounts, params.repo, session)
      const { document } = await resolver.resolveDid(did, { signal }).catch((cause: unknown) => {
        if (!(cause instanceof IdentityError)) throw cause
        throw new UpstreamFailureError('the DID document could not be had', { cause })
      })
      return {
        handle,
        did,
        didDoc: document,
        collections: await repos.store.listCollections(did),
        handleIsCorrect: getHandle(document) === handle,
      }
    },
  })
}
