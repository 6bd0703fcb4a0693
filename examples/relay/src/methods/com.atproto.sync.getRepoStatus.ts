import { accountStatus, type RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'

/** Whether a repository is active here, and its revision while it is. */
export function getRepoStatus({ store }: { readonly store: RelayStore }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.getRepoStatus', {
    handler: ({ params: { did }, error }) => {
      const account = store.getAccount(did)
      if (account === undefined)
        throw error('RepoNotFound', `no repository of ${did} is known here`)
      const status = accountStatus(account)
      return {
        did,
        ...status,
        ...(status.active && account.chain !== undefined ? { rev: account.chain.rev } : {}),
      }
    },
  })
}
