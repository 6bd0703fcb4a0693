import { InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import { authorityOf } from '../at-uri.ts'
import type { AppIndex } from '../collections.ts'
import { hydrateFeed } from '../feed-page.ts'
import { fillPage } from '../fill-page.ts'
import { isBlocked } from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { feedViewPost } from '../views/feed.ts'

/** The posts that the viewer likes, the latest like first. What others like is not shown to anybody. */
export function getActorLikes({
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
  return query.signedIn('app.bsky.feed.getActorLikes', async ({ params, viewer, caller }) => {
    const { did } = await actors.visible(params.actor, caller.labelers)
    if (did !== viewer) throw new InvalidRequestError('Profile not found')
    const { items: feed, cursor } = await fillPage(
      params,
      (page) => index.select('like').where({ did }).page(page),
      async (rows) => {
        const items = rows.map((row) => ({ uri: row.subject }))
        const hydration = await hydrateFeed(index, caller, items)
        return items.flatMap((item) =>
          isBlocked(hydration, authorityOf(item.uri))
            ? []
            : (feedViewPost(hydration, urls, item) ?? []),
        )
      },
    )
    return { feed, ...(cursor === undefined ? {} : { cursor }) }
  })
}
