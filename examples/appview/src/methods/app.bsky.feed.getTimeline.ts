import type { XrpcMethod } from '@skywright/xrpc'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { feedItem, hydrateFeed, postRows } from '../feed-page.ts'
import { fillPage } from '../fill-page.ts'
import type { BlobUrls } from '../images/url.ts'
import { feedViewPost, isFeedItemBlocked } from '../views/feed.ts'

/** Posts and reposts of the accounts that the viewer follows, and the viewer's own, newest first. */
export function getTimeline({
  index,
  urls,
  query,
}: {
  readonly index: AppIndex
  readonly urls: BlobUrls
  readonly query: AppQuery
}): XrpcMethod {
  return query.signedIn('app.bsky.feed.getTimeline', async ({ params, viewer, caller }) => {
    const authors = { of: viewer, edge: 'follow', column: 'subject', self: true } as const
    const { items: feed, cursor } = await fillPage(
      params,
      (page) => index.timeline({ from: ['post', 'repost'], authors, ...page }),
      async (entries) => {
        const items = entries.map(feedItem)
        const hydration = await hydrateFeed(index, caller, items, postRows(entries))
        return items.flatMap((item) =>
          isFeedItemBlocked(hydration, item) ? [] : (feedViewPost(hydration, urls, item) ?? []),
        )
      },
    )
    return { feed, ...(cursor === undefined ? {} : { cursor }) }
  })
}
