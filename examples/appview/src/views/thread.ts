import { authorityOf } from '../at-uri.ts'
import type { PostRow } from '../collections.ts'
import { type Hydration, isBlocked, isPairBlocked } from '../hydration/hydration.ts'
import type { Thread } from '../hydration/thread.ts'
import type { BlobUrls } from '../images/url.ts'
import { blockedPost, notFoundPost, postView } from './post.ts'
import type { BlockedPost, NotFoundPost, ThreadViewPost } from './view-types.ts'

type Named<T> = T & { readonly $type: string }
/** A place in a thread: a post with what is around it, or why it is not shown. */
export type ThreadNode = Named<ThreadViewPost> | Named<NotFoundPost> | Named<BlockedPost>

/** The thread around its anchor: ancestors nested upwards, replies nested downwards. */
export function threadView(hydration: Hydration, urls: BlobUrls, thread: Thread): ThreadNode {
  const { anchor } = thread
  if (isBlocked(hydration, anchor.did)) return blockedPost(hydration, anchor.uri)
  const post = postView(hydration, urls, anchor.uri)
  if (post === undefined) return notFoundPost(anchor.uri)
  const parent = ancestorView(hydration, urls, thread, 0, anchor.did)
  return {
    $type: 'app.bsky.feed.defs#threadViewPost',
    post,
    ...(parent === undefined ? {} : { parent: parent as ThreadViewPost['parent'] }),
    replies: replyViews(hydration, urls, thread, anchor) as ThreadViewPost['replies'],
    threadContext: {},
  }
}

/** The ancestor at a height, with those above it. A block between it and the post below it ends the chain. */
function ancestorView(
  hydration: Hydration,
  urls: BlobUrls,
  thread: Thread,
  height: number,
  childAuthor: string,
): ThreadNode | undefined {
  const uri = thread.ancestors[height]
  if (uri === undefined) return undefined
  const author = authorityOf(uri)
  const post = postView(hydration, urls, uri)
  if (post === undefined) return notFoundPost(uri)
  if (isBlocked(hydration, author) || isPairBlocked(hydration, author, childAuthor))
    return blockedPost(hydration, uri)
  const parent = ancestorView(hydration, urls, thread, height + 1, author)
  return {
    $type: 'app.bsky.feed.defs#threadViewPost',
    post,
    ...(parent === undefined ? {} : { parent: parent as ThreadViewPost['parent'] }),
    threadContext: {},
  }
}

/** The replies to a post: the author's own first, then oldest first. */
function replyViews(
  hydration: Hydration,
  urls: BlobUrls,
  thread: Thread,
  parent: PostRow,
): readonly ThreadNode[] {
  const rows = thread.replies.get(parent.uri) ?? []
  const opening = thread.anchor.replyRoot ?? thread.anchor.uri
  const author = authorityOf(opening)
  const ordered = [
    ...rows.filter((row) => row.did === author),
    ...rows.filter((row) => row.did !== author),
  ]
  return ordered.flatMap((row): readonly ThreadNode[] => {
    if (isBlocked(hydration, row.did)) return [blockedPost(hydration, row.uri)]
    // A reply across a block between others is no part of the conversation.
    if (isPairBlocked(hydration, row.did, parent.did)) return []
    const post = postView(hydration, urls, row.uri)
    if (post === undefined) return []
    return [
      {
        $type: 'app.bsky.feed.defs#threadViewPost',
        post,
        replies: replyViews(hydration, urls, thread, row) as ThreadViewPost['replies'],
        threadContext: {},
      },
    ]
  })
}
