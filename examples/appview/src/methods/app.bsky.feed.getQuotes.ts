import type { XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { fillPage } from '../fill-page.ts'
import { createHydration, isBlocked } from '../hydration/hydration.ts'
import { hydratePosts } from '../hydration/posts.ts'
import type { BlobUrls } from '../images/url.ts'
import { postView } from '../views/post.ts'

/** Posts that quote a post, newest first. */
export function getQuotes({
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
  return query.open('app.bsky.feed.getQuotes', async ({ params, caller }) => {
    const quote = (await actors.uri(params.uri)) ?? params.uri
    const { items, cursor } = await fillPage(
      params,
      (page) => index.select('post').where({ quote }).page(page),
      async (rows) => {
        const hydration = createHydration(caller)
        await hydratePosts(index, hydration, { rows })
        return rows.flatMap((row) =>
          isBlocked(hydration, row.did) ? [] : (postView(hydration, urls, row.uri) ?? []),
        )
      },
    )
    return {
      uri: quote,
      ...(params.cid === undefined ? {} : { cid: params.cid }),
      posts: items,
      ...(cursor === undefined ? {} : { cursor }),
    }
  })
}
