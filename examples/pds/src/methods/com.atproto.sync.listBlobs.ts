import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { requireReadableRepo } from '../accounts/local-account.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Lists the blobs that records of an account reference, by CID. */
export function listBlobs(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.sync.listBlobs', {
    auth: auth.optionalSession,
    async handler({ params, auth: session }) {
      const { did } = requireReadableRepo(accounts, params.did, session)
      const { limit, cursor, since } = params
      const cids = await repos.store.listBlobs(did, {
        limit,
        ...(cursor === undefined ? {} : { cursor }),
        ...(since === undefined ? {} : { since }),
      })
      const last = cids.at(-1)
      return { ...(last === undefined || cids.length < limit ? {} : { cursor: last }), cids }
    },
  })
}
