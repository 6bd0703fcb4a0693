import type { RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import type { RelayTables } from '../tables.ts'
import { unavailableName } from '../unavailable-name.ts'
import { relayLexicons } from '../lexicons.ts'

/** The newest commit the relay has seen of a repository, or that its host listed. */
export function getLatestCommit({
  store,
  tables,
}: {
  readonly store: RelayStore
  readonly tables: Pick<RelayTables, 'headOf'>
}): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.getLatestCommit', {
    handler: ({ params: { did }, error }) => {
      const account = store.getAccount(did)
      const unavailable = unavailableName(account)
      if (unavailable !== undefined)
        throw error(unavailable, `repository of ${did} is not available`)
      const head = account && tables.headOf(account)
      if (head === undefined) throw error('RepoNotFound', `no commit of ${did} was seen yet`)
      return head
    },
  })
}
