import { accountStatus, type RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import type { RelayTables } from '../tables.ts'
import { relayLexicons } from '../lexicons.ts'

/** Whether a repository is active here, and its revision while it is. */
export function getRepoStatus({
  store,
  tables,
}: {
  readonly store: RelayStore
  readonly tables: Pick<RelayTables, 'headOf'>
}): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.getRepoStatus', {
    handler: ({ params: { did }, error }) => {
      const account = store.getAccount(did)
      if (account === undefined)
        throw error('RepoNotFound', `no repository of ${did} is known here`)
      const status = accountStatus(account)
      const head = status.active ? tables.headOf(account) : undefined
      return {
        did,
        ...status,
        ...(head === undefined ? {} : { rev: head.rev }),
      }
    },
  })
}
