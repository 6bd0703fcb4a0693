import { InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { createHydration } from '../hydration/hydration.ts'
import { loadThread } from '../hydration/thread.ts'
import type { BlobUrls } from '../images/url.ts'
import { threadView } from '../views/thread.ts'

/** A post with what it answers and what answers it. */
export function getPostThread({
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
  return query.open('app.bsky.feed.getPostThread', async ({ params, caller }) => {
    const { depth, parentHeight } = params
    const uri = await actors.uri(params.uri)
    const hydration = createHydration(caller)
    const thread =
      uri === undefined
        ? undefined
        : await loadThread(index, hydration, { uri, depth, parentHeight })
    if (thread === undefined)
      throw new InvalidRequestError(`Post not found: ${params.uri}`, { error: 'NotFound' })
    return { thread: threadView(hydration, urls, thread) }
  })
}
