import { defineMethod, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { publicStatus } from '../accounts/account-view.ts'
import type { RepoHost } from '../repos/repo-host.ts'

/** Lists every account hosted here, inactive ones included, in the order they came. */
export function listRepos(options: {
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.sync.listRepos', {
    async handler({ params: { limit, cursor = '0' } }) {
      if (!/^\d{1,15}$/.test(cursor)) throw new InvalidRequestError('Malformed cursor')
      const page = accounts.list({ cursor: Number(cursor), limit })
      const listed = await Promise.all(
        page.map(async (account) => {
          const head = await repos.store.getHead(account.did)
          if (head === undefined) return []
          const { did } = account
          return [{ did, head: head.commit.toString(), rev: head.rev, ...publicStatus(account) }]
        }),
      )
      const last = page.at(-1)
      return {
        ...(last === undefined || page.length < limit ? {} : { cursor: String(last.id) }),
        repos: listed.flat(),
      }
    },
  })
}
