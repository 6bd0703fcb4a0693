import { InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { createHydration } from '../hydration/hydration.ts'
import { hydrateGenerators } from '../hydration/posts.ts'
import type { BlobUrls } from '../images/url.ts'
import { generatorView } from '../views/generator.ts'

/** One feed generator. Whether its service answers is not asked: this AppView serves no feeds of others yet. */
export function getFeedGenerator({
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
  return query.open('app.bsky.feed.getFeedGenerator', async ({ params, caller }) => {
    const uri = await actors.uri(params.feed)
    const hydration = createHydration(caller)
    if (uri !== undefined) await hydrateGenerators(index, hydration, [uri])
    const view = uri === undefined ? undefined : generatorView(hydration, urls, uri)
    if (view === undefined) throw new InvalidRequestError('could not find feed')
    return { view, isOnline: true, isValid: true }
  })
}
