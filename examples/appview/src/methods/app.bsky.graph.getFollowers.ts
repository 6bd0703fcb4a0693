import type { XrpcMethod } from '@skywright/xrpc'
import { accountPage, oneAccount } from '../account-page.ts'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import type { BlobUrls } from '../images/url.ts'

/** Who follows an account, newest first. */
export function getFollowers({
  index,
  urls,
  actors,
  query,
}: {
  readonly index: AppIndex
  readonly urls: BlobUrls
  readonly actors: ActorLookup
  readonly query: AppQuery
}): XrpcMethod {
  return query.open('app.bsky.graph.getFollowers', async ({ params, caller }) => {
    const { did } = await actors.visible(params.actor, caller.labelers)
    const { entries, cursor } = await accountPage(index, urls, caller, {
      page: params,
      read: (page) => index.select('follow').where({ subject: did }).page(page),
      didOf: (row) => row.did,
    })
    return {
      subject: await oneAccount(index, urls, caller, did),
      followers: entries.map(({ account }) => account),
      ...(cursor === undefined ? {} : { cursor }),
    }
  })
}
