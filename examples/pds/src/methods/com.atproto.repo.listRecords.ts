import { decodeCbor } from '@skywright/repo/cbor'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { requireReadableRepo } from '../accounts/local-account.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Lists records of a collection, newest key first unless reversed. */
export function listRecords(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.repo.listRecords', {
    auth: auth.optionalSession,
    async handler({ params, auth: session }) {
      const { did } = requireReadableRepo(accounts, params.repo, session)
      const { collection, limit, cursor, reverse } = params
      const records = await repos.store.listRecords(did, collection, {
        limit,
        reverse: reverse !== true,
        ...(cursor === undefined ? {} : { cursor }),
      })
      const last = records.at(-1)
      return {
        ...(last === undefined || records.length < limit ? {} : { cursor: last.rkey }),
        records: records.map(({ rkey, cid, bytes }) => ({
          uri: `at://${did}/${collection}/${rkey}`,
          cid: cid.toString(),
          // A stored record is an object: nothing else is ever committed.
          value: decodeCbor(bytes) as object,
        })),
      }
    },
  })
}
