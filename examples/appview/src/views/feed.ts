import { authorityOf } from '../at-uri.ts'
import type { ReactionRow } from '../collections.ts'
import { type Hydration, isBlocked, isPairBlocked, isVisible } from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { isoTime } from './datetime.ts'
import { blockedPost, postOrPlaceholder, postView } from './post.ts'
import { profileViewBasic } from './profile.ts'
import type { FeedViewPost } from './view-types.ts'

/** One place in a feed: a post, and why it is there when it is not by itself. */
export interface FeedItem {
  /** The post. */
  readonly uri: string
  readonly repost?: ReactionRow
  readonly pinned?: boolean
}

/** A post in a feed, with what it answers; `undefined` when the post is not indexed or hidden. */
export function feedViewPost(
  hydration: Hydration,
  urls: BlobUrls,
  item: FeedItem,
): FeedViewPost | undefined {
  const post = postView(hydration, urls, item.uri)
  if (post === undefined) return undefined
  if (item.repost !== undefined && !isVisible(hydration, item.repost.did)) return undefined
  const reply = replyRef(hydration, urls, item.uri)
  const reason = feedReason(hydration, urls, item)
  return {
    post,
    ...(reply === undefined ? {} : { reply }),
    ...(reason === undefined ? {} : { reason }),
  }
}

/** Whether a block between the viewer and anybody involved keeps the item out of mixed feeds. */
export function isFeedItemBlocked(hydration: Hydration, item: FeedItem): boolean {
  const row = hydration.posts.get(item.uri)
  const involved = [authorityOf(item.uri), item.repost?.did]
  for (const related of [row?.replyParent, row?.replyRoot])
    if (related !== undefined) involved.push(authorityOf(related))
  return involved.some((did) => did !== undefined && isBlocked(hydration, did))
}

function replyRef(
  hydration: Hydration,
  urls: BlobUrls,
  uri: string,
): FeedViewPost['reply'] | undefined {
  const row = hydration.posts.get(uri)
  if (row?.replyParent === undefined || row.replyRoot === undefined) return undefined
  const parent = hydration.posts.get(row.replyParent)
  const grandparent =
    parent?.replyParent === undefined ? undefined : authorityOf(parent.replyParent)
  const shown = (related: string): ReturnType<typeof postOrPlaceholder> =>
    isPairBlocked(hydration, row.did, authorityOf(related))
      ? blockedPost(hydration, related)
      : postOrPlaceholder(hydration, urls, related)
  return {
    root: shown(row.replyRoot),
    parent: shown(row.replyParent),
    ...(grandparent !== undefined && isVisible(hydration, grandparent)
      ? { grandparentAuthor: profileViewBasic(hydration, urls, grandparent) }
      : {}),
  }
}

function feedReason(
  hydration: Hydration,
  urls: BlobUrls,
  { repost, pinned = false }: FeedItem,
): FeedViewPost['reason'] | undefined {
  if (pinned) return { $type: 'app.bsky.feed.defs#reasonPin' }
  if (repost === undefined) return undefined
  return {
    $type: 'app.bsky.feed.defs#reasonRepost',
    by: profileViewBasic(hydration, urls, repost.did),
    uri: repost.uri,
    ...(repost.cid === undefined ? {} : { cid: repost.cid }),
    indexedAt: isoTime(repost.indexedAt),
  }
}
