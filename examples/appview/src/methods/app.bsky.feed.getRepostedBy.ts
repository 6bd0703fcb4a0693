import type { XrpcMethod } from '@skywright/xrpc'
import { accountPage } from '../account-page.ts'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import type { BlobUrls } from '../images/url.ts'

/** Who reposted a post, newest first. */
export function getRepostedBy({
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
  return query.open('app.bsky.feed.getRepostedBy', async ({ params, caller }) => {
    const subject = (await actors.uri(params.uri)) ?? params.uri
    const { entries, cursor } = await accountPage(index, urls, caller, {
      page: params,
      read: (page) => index.select('repost').where({ subject }).page(page),
      didOf: (row) => row.did,
    })
    return {
      uri: subject,
      ...(params.cid === undefined ? {} : { cid: params.cid }),
      repostedBy: entries.map(({ account }) => account),
      ...(cursor === undefined ? {} : { cursor }),
    }
  })
}
