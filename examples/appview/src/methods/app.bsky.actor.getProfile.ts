import type { XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { hydrateActors } from '../hydration/actors.ts'
import { createHydration } from '../hydration/hydration.ts'
import { hydrateCounts } from '../hydration/posts.ts'
import type { BlobUrls } from '../images/url.ts'
import { profileViewDetailed } from '../views/profile.ts'

/** One account by DID or handle, with its counts. */
export function getProfile({
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
  return query.open('app.bsky.actor.getProfile', async ({ params, caller }) => {
    const { did } = await actors.visible(params.actor, caller.labelers)
    const hydration = createHydration(caller)
    await Promise.all([
      hydrateActors(index, hydration, [did]),
      hydrateCounts(index, hydration, [did]),
    ])
    return profileViewDetailed(hydration, urls, did)
  })
}
