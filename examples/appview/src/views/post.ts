import { authorityOf } from '../at-uri.ts'
import { type Hydration, isBlocked, isRecordVisible } from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { textField, objectField } from '../record-fields.ts'
import { isoTime } from './datetime.ts'
import { embedView } from './embed.ts'
import { labelsOf } from './labels.ts'
import { actorViewerState, profileViewBasic } from './profile.ts'
import type { BlockedPost, NotFoundPost, PostView, PostViewerState } from './view-types.ts'

/** A post with its author, counts and embeds; `undefined` when it is not indexed or its author is hidden. */
export function postView(hydration: Hydration, urls: BlobUrls, uri: string): PostView | undefined {
  const row = hydration.posts.get(uri)
  if (row?.cid === undefined || row.record === undefined) return undefined
  // An account may be hidden before its records are: there may be very many of them.
  if (!isRecordVisible(hydration, uri, row.did)) return undefined
  const counts = hydration.counts.get(uri)
  const embed = embedView(hydration, urls, row.did, row.record['embed'])
  const viewer = postViewerState(hydration, uri, row.did)
  return {
    uri,
    cid: row.cid,
    author: profileViewBasic(hydration, urls, row.did),
    record: row.record,
    ...(embed === undefined ? {} : { embed }),
    bookmarkCount: 0,
    replyCount: counts?.['replyCount'] ?? 0,
    repostCount: counts?.['repostCount'] ?? 0,
    likeCount: counts?.['likeCount'] ?? 0,
    quoteCount: counts?.['quoteCount'] ?? 0,
    indexedAt: isoTime(row.indexedAt),
    ...(viewer === undefined ? {} : { viewer }),
    labels: labelsOf(hydration, row),
  }
}

function postViewerState(
  hydration: Hydration,
  uri: string,
  author: string,
): PostViewerState | undefined {
  if (hydration.viewer === undefined) return undefined
  const like = hydration.likes.get(uri)
  const repost = hydration.reposts.get(uri)
  const pinned =
    author === hydration.viewer &&
    textField(objectField(hydration.profiles.get(author)?.record, 'pinnedPost'), 'uri') === uri
  return {
    ...(like === undefined ? {} : { like }),
    ...(repost === undefined ? {} : { repost }),
    threadMuted: false,
    embeddingDisabled: false,
    ...(pinned ? { pinned } : {}),
  }
}

/** The placeholder of a post that does not exist here. */
export function notFoundPost(uri: string): NotFoundPost & { readonly $type: string } {
  return { $type: 'app.bsky.feed.defs#notFoundPost', uri, notFound: true }
}

/** The placeholder of a post behind a block: its address and author, nothing of its content. */
export function blockedPost(
  hydration: Hydration,
  uri: string,
): BlockedPost & { readonly $type: string } {
  const did = authorityOf(uri)
  const viewer = actorViewerState(hydration, did)
  return {
    $type: 'app.bsky.feed.defs#blockedPost',
    uri,
    blocked: true,
    author: { did, ...(viewer === undefined ? {} : { viewer }) },
  }
}

/** A post where a placeholder may stand: the post itself, or why it is not shown. */
export function postOrPlaceholder(
  hydration: Hydration,
  urls: BlobUrls,
  uri: string,
):
  | (PostView & { readonly $type: string })
  | ReturnType<typeof notFoundPost>
  | ReturnType<typeof blockedPost> {
  if (isBlocked(hydration, authorityOf(uri)) && hydration.posts.has(uri))
    return blockedPost(hydration, uri)
  const view = postView(hydration, urls, uri)
  return view === undefined ? notFoundPost(uri) : { $type: 'app.bsky.feed.defs#postView', ...view }
}
