import { accountStatus, type RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import type { RelayTables } from '../tables.ts'
import { relayLexicons } from '../lexicons.ts'

/** Every repository with a commit, by DID. Pages may be short; the end is where no cursor comes back. */
export function listRepos({
  store,
  tables,
}: {
  readonly store: RelayStore
  readonly tables: Pick<RelayTables, 'headOf'>
}): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.listRepos', {
    handler: ({ params: { limit, cursor } }) => {
      const page = store.listAccounts({ limit, ...(cursor === undefined ? {} : { cursor }) })
      const repos = page.items.flatMap((account) => {
        const head = tables.headOf(account)
        if (head === undefined) return []
        return [{ did: account.did, head: head.cid, rev: head.rev, ...accountStatus(account) }]
      })
      return { repos, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
    },
  })
}
