import type { XrpcMethod } from '@skywright/xrpc'
import { createActorSearch } from '../actor-search.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { fillPage } from '../fill-page.ts'
import { hydrateActors } from '../hydration/actors.ts'
import { createHydration, isBlocked, isVisible } from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { profileViewBasic } from '../views/profile.ts'

/** The first accounts of a search, for completion while typing. Those that the viewer follows come first. */
export function searchActorsTypeahead({
  index,
  urls,
  query,
}: {
  readonly index: AppIndex
  readonly urls: BlobUrls
  readonly query: AppQuery
}): XrpcMethod {
  return query.open('app.bsky.actor.searchActorsTypeahead', async ({ params, caller }) => {
    const search = createActorSearch(index, params.q ?? params.term ?? '')
    const { items } = await fillPage({ limit: params.limit }, search, async (rows) => {
      const hydration = createHydration(caller)
      await hydrateActors(
        index,
        hydration,
        rows.map((row) => row.did),
      )
      return rows.flatMap(({ did }) =>
        isVisible(hydration, did) && !isBlocked(hydration, did)
          ? [profileViewBasic(hydration, urls, did)]
          : [],
      )
    })
    const followed = items.filter((actor) => actor.viewer?.following !== undefined)
    const others = items.filter((actor) => actor.viewer?.following === undefined)
    return { actors: [...followed, ...others] }
  })
}
