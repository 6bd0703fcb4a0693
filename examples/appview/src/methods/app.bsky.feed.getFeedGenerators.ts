import type { XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { createHydration } from '../hydration/hydration.ts'
import { hydrateGenerators } from '../hydration/posts.ts'
import type { BlobUrls } from '../images/url.ts'
import { generatorView } from '../views/generator.ts'

/** The lexicon names no bound; clients ask for what an account has pinned. */
const MAX_FEEDS = 150

/** Feed generators by URI. Unknown and hidden ones are left out. */
export function getFeedGenerators({
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
  return query.open('app.bsky.feed.getFeedGenerators', async ({ params, caller }) => {
    const uris = await actors.uris(params.feeds.slice(0, MAX_FEEDS))
    const hydration = createHydration(caller)
    await hydrateGenerators(index, hydration, uris)
    return { feeds: uris.flatMap((uri) => generatorView(hydration, urls, uri) ?? []) }
  })
}
