import type { XrpcMethod } from '@skywright/xrpc'
import { accountPage, oneAccount } from '../account-page.ts'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import type { BlobUrls } from '../images/url.ts'

/** Whom an account follows, newest first. */
export function getFollows({
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
  return query.open('app.bsky.graph.getFollows', async ({ params, caller }) => {
    const { did } = await actors.visible(params.actor, caller.labelers)
    const { entries, cursor } = await accountPage(index, urls, caller, {
      page: params,
      read: (page) => index.select('follow').where({ did }).page(page),
      didOf: (row) => row.subject,
    })
    return {
      subject: await oneAccount(index, urls, caller, did),
      follows: entries.map(({ account }) => account),
      ...(cursor === undefined ? {} : { cursor }),
    }
  })
}
