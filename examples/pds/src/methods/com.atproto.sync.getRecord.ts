import { defineMethod, reply, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { requireReadableRepo } from '../accounts/local-account.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Proves a record, or its absence: a CAR with the signed commit as root and the path down to it. */
export function getRecordProof(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.sync.getRecord', {
    auth: auth.optionalSession,
    async handler({ params, auth: session }) {
      const account = requireReadableRepo(accounts, params.did, session)
      const repo = await repos.open(account)
      return reply(await repo.proof(params.collection, params.rkey), {
        encoding: 'application/vnd.ipld.car',
      })
    },
  })
}
