import { accountStatus } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import type { PublicLists } from '../public-lists.ts'
import { relayLexicons } from '../lexicons.ts'

/** Every repository with a commit, by DID. */
export function listRepos({ lists }: { readonly lists: PublicLists }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.listRepos', {
    handler: ({ params }) => {
      const { items, cursor } = lists.listRepos(params)
      const repos = items.map(({ account, head }) => ({
        did: account.did,
        head: head.cid,
        rev: head.rev,
        ...accountStatus(account),
      }))
      return { repos, ...(cursor === undefined ? {} : { cursor }) }
    },
  })
}
