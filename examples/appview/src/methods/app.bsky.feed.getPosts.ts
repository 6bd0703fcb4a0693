import type { XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import { authorityOf } from '../at-uri.ts'
import type { AppIndex } from '../collections.ts'
import { createHydration, isBlocked } from '../hydration/hydration.ts'
import { hydratePosts } from '../hydration/posts.ts'
import type { BlobUrls } from '../images/url.ts'
import { postView } from '../views/post.ts'

/** Up to 25 posts by URI. Unknown, hidden and blocked ones are left out. */
export function getPosts({
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
  return query.open('app.bsky.feed.getPosts', async ({ params, caller }) => {
    const uris = await actors.uris(params.uris)
    const hydration = createHydration(caller)
    await hydratePosts(index, hydration, { uris })
    const posts = uris.flatMap((uri) =>
      isBlocked(hydration, authorityOf(uri)) ? [] : (postView(hydration, urls, uri) ?? []),
    )
    return { posts }
  })
}
