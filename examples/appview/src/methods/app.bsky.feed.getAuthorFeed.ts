import { InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import { authorityOf } from '../at-uri.ts'
import type { AppIndex, PostRow } from '../collections.ts'
import { feedItem, hydrateFeed, postRows } from '../feed-page.ts'
import { fillPage } from '../fill-page.ts'
import { hydrateActors } from '../hydration/actors.ts'
import { createHydration, type Hydration, isBlocked } from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { objectField, textField } from '../record-fields.ts'
import { type FeedItem, feedViewPost } from '../views/feed.ts'
import type { FeedViewPost } from '../views/view-types.ts'

/** Media of the posts that a filter asks for. */
const MEDIA_OF_FILTER: Readonly<Record<string, readonly string[]>> = {
  posts_with_media: ['image', 'video'],
  posts_with_video: ['video'],
}

/** Posts and reposts of one account, newest first; the pinned post on top when asked for. */
export function getAuthorFeed({
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
  return query.open('app.bsky.feed.getAuthorFeed', async ({ params, caller }) => {
    const { did } = await actors.visible(params.actor, caller.labelers)
    const author = createHydration(caller)
    await hydrateActors(index, author, [did])
    assertUnblocked(author, did)
    const pinnedUri = params.includePins ? pinnedPost(author, did) : undefined
    const show = async (
      items: readonly FeedItem[],
      rows: readonly PostRow[],
    ): Promise<readonly FeedViewPost[]> => {
      const hydration = await hydrateFeed(index, caller, items, rows)
      return items.flatMap((item) => {
        if (item.repost !== undefined && isBlocked(hydration, authorityOf(item.uri))) return []
        return feedViewPost(hydration, urls, item) ?? []
      })
    }
    const media = MEDIA_OF_FILTER[params.filter]
    const { items, cursor } = await (media === undefined
      ? fillPage(
          params,
          (page) => index.timeline({ from: ['post', 'repost'], authors: [did], ...page }),
          (entries) => {
            const wanted = entries.filter(
              (entry) => entry.from === 'repost' || isWanted(entry.row, params.filter),
            )
            const listed = wanted.map(feedItem).filter((item) => item.uri !== pinnedUri)
            return show(listed, postRows(wanted))
          },
        )
      : fillPage(
          params,
          (page) => index.select('post').where({ did, media }).page(page),
          (rows) =>
            show(
              rows.map((row) => ({ uri: row.uri })),
              rows,
            ),
        ))
    const pins =
      pinnedUri !== undefined && media === undefined && params.cursor === undefined
        ? await show([{ uri: pinnedUri, pinned: true }], [])
        : []
    return { feed: [...pins, ...items], ...(cursor === undefined ? {} : { cursor }) }
  })
}

function isWanted(row: PostRow, filter: string): boolean {
  if (filter === 'posts_no_replies') return row.replyParent === undefined
  if (filter === 'posts_and_author_threads')
    return [row.replyParent, row.replyRoot].every(
      (uri) => uri === undefined || authorityOf(uri) === row.did,
    )
  return true
}

/** The post that the profile pins, when it is the account's own. */
function pinnedPost(hydration: Hydration, did: string): string | undefined {
  const record = hydration.profiles.get(did)?.record
  const uri = textField(objectField(record, 'pinnedPost'), 'uri')
  return uri !== undefined && authorityOf(uri) === did ? uri : undefined
}

function assertUnblocked(hydration: Hydration, did: string): void {
  const { blocking, blockedBy } = hydration.relations.get(did) ?? {}
  if (blocking !== undefined)
    throw new InvalidRequestError('Requester has blocked actor', { error: 'BlockedActor' })
  if (blockedBy !== undefined)
    throw new InvalidRequestError('Requester is blocked by actor', { error: 'BlockedByActor' })
}
