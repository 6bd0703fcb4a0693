import type { XrpcMethod } from '@skywright/xrpc'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { fillPage } from '../fill-page.ts'
import { hydrateActors } from '../hydration/actors.ts'
import { createHydration, isBlocked, isVisible } from '../hydration/hydration.ts'
import type { BlobUrls } from '../images/url.ts'
import { profileView } from '../views/profile.ts'

/** Accounts to follow: the newest profiles, without the viewer and those followed already. */
export function getSuggestions({
  index,
  urls,
  query,
}: {
  readonly index: AppIndex
  readonly urls: BlobUrls
  readonly query: AppQuery
}): XrpcMethod {
  return query.open('app.bsky.actor.getSuggestions', async ({ params, viewer, caller }) => {
    const { items: actors, cursor } = await fillPage(
      params,
      (page) => index.select('profile').page(page),
      async (rows) => {
        const hydration = createHydration(caller)
        await hydrateActors(
          index,
          hydration,
          rows.map((row) => row.did),
        )
        return rows.flatMap(({ did }) => {
          const known = did === viewer || hydration.relations.get(did)?.following !== undefined
          if (known || !isVisible(hydration, did) || isBlocked(hydration, did)) return []
          return [profileView(hydration, urls, did)]
        })
      },
    )
    return { actors, ...(cursor === undefined ? {} : { cursor }) }
  })
}
