import { decodeCbor } from '@skywright/repo/cbor'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { getLocalAccount, requireReadableRepo } from '../accounts/local-account.ts'
import type { ServiceProxy } from '../proxy/service-proxy.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Reads one record. Those of accounts elsewhere are asked of the AppView, when there is one. */
export function getRecord(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly proxy: ServiceProxy
}): XrpcMethod {
  const { auth, accounts, repos, proxy } = options
  return defineMethod(atproto, 'com.atproto.repo.getRecord', {
    auth: auth.optionalSession,
    async handler(context) {
      const { params, error, auth: session } = context
      const { repo, collection, rkey, cid } = params
      const uri = `at://${repo}/${collection}/${rkey}`
      if (getLocalAccount(accounts, repo) === undefined) {
        const answer = await proxy.forwardToAppView(context)
        if (answer !== undefined) return answer
        throw error('RecordNotFound', `Could not locate record: ${uri}`)
      }
      const { did } = requireReadableRepo(accounts, repo, session)
      const found = await repos.store.getRecord(did, collection, rkey)
      if (found === undefined || (cid !== undefined && found.cid.toString() !== cid)) {
        // Clients compare this text.
        throw error('RecordNotFound', `Could not locate record: ${uri}`)
      }
      return {
        uri: `at://${did}/${collection}/${rkey}`,
        cid: found.cid.toString(),
        // A stored record is an object: nothing else is ever committed.
        value: decodeCbor(found.bytes) as object,
      }
    },
  })
}
