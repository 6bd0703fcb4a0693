import { accountStatus, type RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'

/** Every repository with a commit, by DID. Pages may be short; the end is where no cursor comes back. */
export function listRepos({ store }: { readonly store: RelayStore }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.listRepos', {
    handler: ({ params: { limit, cursor } }) => {
      const page = store.listAccounts({ limit, ...(cursor === undefined ? {} : { cursor }) })
      const repos = page.items.flatMap((account) =>
        account.chain === undefined
          ? []
          : [
              {
                did: account.did,
                head: account.chain.commit,
                rev: account.chain.rev,
                ...accountStatus(account),
              },
            ],
      )
      return { repos, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
    },
  })
}
