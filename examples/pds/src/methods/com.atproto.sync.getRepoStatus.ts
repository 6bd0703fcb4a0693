import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { publicStatus } from '../accounts/account-view.ts'
import { getLocalAccount } from '../accounts/local-account.ts'
import type { RepoHost } from '../repos/repo-host.ts'

/** Tells whether an account is hosted here and active. */
export function getRepoStatus(options: {
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.sync.getRepoStatus', {
    async handler({ params, error }) {
      const account = getLocalAccount(accounts, params.did)
      if (account === undefined) {
        throw error('RepoNotFound', `Could not find repo: ${params.did}`)
      }
      const status = publicStatus(account)
      const head = status.active ? await repos.store.getHead(account.did) : undefined
      return { did: account.did, ...status, ...(head === undefined ? {} : { rev: head.rev }) }
    },
  })
}
