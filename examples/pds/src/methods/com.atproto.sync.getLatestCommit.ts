import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { requireReadableRepo } from '../accounts/local-account.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Tells the newest commit of a repo. */
export function getLatestCommit(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.sync.getLatestCommit', {
    auth: auth.optionalSession,
    async handler({ params, auth: session, error }) {
      const { did } = requireReadableRepo(accounts, params.did, session)
      const head = await repos.store.getHead(did)
      if (head === undefined) throw error('RepoNotFound', `Could not find repo: ${did}`)
      return { cid: head.commit.toString(), rev: head.rev }
    },
  })
}
