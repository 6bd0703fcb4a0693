import { defineMethod, reply, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { requireReadableRepo } from '../accounts/local-account.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Streams a repo as CAR, whole or what was written since a rev. */
export function getRepo(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.sync.getRepo', {
    auth: auth.optionalSession,
    async handler({ params, auth: session, signal }) {
      const account = requireReadableRepo(accounts, params.did, session)
      const repo = await repos.open(account)
      const { since } = params
      return reply(repo.export({ signal, ...(since === undefined ? {} : { since }) }), {
        encoding: 'application/vnd.ipld.car',
      })
    },
  })
}
