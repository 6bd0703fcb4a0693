import type { RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { unavailableName } from '../unavailable-name.ts'
import { relayLexicons } from '../lexicons.ts'

/** The newest commit the relay has seen of a repository. */
export function getLatestCommit({ store }: { readonly store: RelayStore }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.getLatestCommit', {
    handler: ({ params: { did }, error }) => {
      const account = store.getAccount(did)
      const unavailable = unavailableName(account)
      if (unavailable !== undefined)
        throw error(unavailable, `repository of ${did} is not available`)
      if (account?.chain === undefined)
        throw error('RepoNotFound', `no commit of ${did} was seen yet`)
      return { cid: account.chain.commit, rev: account.chain.rev }
    },
  })
}
