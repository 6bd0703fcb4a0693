import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { requireLocalAccount } from '../accounts/local-account.ts'
import type { AccountStore } from '../accounts/account-store.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Takes an account offline until its owner comes back. Its content stays, shown to the owner alone. */
export function deactivateAccount(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.server.deactivateAccount', {
    auth: auth.fullSession,
    async handler({ auth: { account } }) {
      const { did } = account
      // Behind every write under way: nothing is published after the announcement.
      await repos.exclusively(did, async () => {
        if (requireLocalAccount(accounts, did).status !== 'active') return
        repos.announce(
          () => {
            accounts.setStatus(did, 'deactivated')
            return requireLocalAccount(accounts, did)
          },
          { status: true },
        )
      })
      return undefined
    },
  })
}
