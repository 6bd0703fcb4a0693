import type { IdentityResolver } from '@skywright/identity'
import {
  defineMethod,
  InvalidRequestError,
  UpstreamFailureError,
  type XrpcMethod,
} from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { findIdentityProblem } from '../accounts/check-identity.ts'
import { requireLocalAccount } from '../accounts/local-account.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Brings an account online, once its DID document points here: `#identity`, `#account`, then `#sync` with the current commit. */
export function activateAccount(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly resolver: IdentityResolver
  readonly publicUrl: string
  /** Whether DID documents may name `http:` endpoints. */
  readonly allowHttp: boolean
}): XrpcMethod {
  const { auth, accounts, repos, resolver, publicUrl, allowHttp } = options
  return defineMethod(atproto, 'com.atproto.server.activateAccount', {
    auth: auth.fullSession,
    async handler({ auth: { account }, signal }) {
      const { did } = account
      resolver.purge(did)
      const { document } = await resolver.resolveDid(did, { signal }).catch((cause: unknown) => {
        throw new UpstreamFailureError('the DID document could not be had', { cause })
      })
      const problem = findIdentityProblem(account, document, { publicUrl, allowHttp })
      if (problem !== undefined) throw new InvalidRequestError(problem)
      await repos.exclusively(did, async () => {
        const head = await repos.store.getHead(did)
        if (head === undefined || requireLocalAccount(accounts, did).status !== 'deactivated')
          return
        repos.announce(
          () => {
            accounts.setStatus(did, 'active')
            return requireLocalAccount(accounts, did)
          },
          { identity: true, status: true, sync: head },
        )
      })
      return undefined
    },
  })
}
