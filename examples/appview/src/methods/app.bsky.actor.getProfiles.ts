import type { XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { hydrateActors } from '../hydration/actors.ts'
import { createHydration, isVisible } from '../hydration/hydration.ts'
import { hydrateCounts } from '../hydration/posts.ts'
import type { BlobUrls } from '../images/url.ts'
import { profileViewDetailed } from '../views/profile.ts'

/** Up to 25 accounts in the order asked. Unknown and hidden ones are left out. */
export function getProfiles({
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
  return query.open('app.bsky.actor.getProfiles', async ({ params, caller }) => {
    const dids = await actors.dids(params.actors)
    const hydration = createHydration(caller)
    await Promise.all([
      hydrateActors(index, hydration, dids),
      hydrateCounts(index, hydration, dids),
    ])
    const visible = dids.filter((did) => isVisible(hydration, did))
    return { profiles: visible.map((did) => profileViewDetailed(hydration, urls, did)) }
  })
}
