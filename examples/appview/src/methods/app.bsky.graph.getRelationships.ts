import { InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { hydrateActors } from '../hydration/actors.ts'
import { createHydration, isVisible } from '../hydration/hydration.ts'

/** How one account stands to up to 30 others: who follows and who blocks whom. */
export function getRelationships({
  index,
  actors,
  query,
}: {
  readonly index: AppIndex
  readonly actors: ActorLookup
  readonly query: AppQuery
}): XrpcMethod {
  return query.open('app.bsky.graph.getRelationships', async ({ params, caller }) => {
    const actor = await actors.did(params.actor)
    if (actor === undefined)
      throw new InvalidRequestError('Actor not found', { error: 'ActorNotFound' })
    const others = params.others ?? []
    const dids = await Promise.all(others.map((other) => actors.did(other)))
    const hydration = createHydration({ ...caller, did: actor })
    await hydrateActors(
      index,
      hydration,
      dids.filter((did) => did !== undefined),
    )
    const relationships = others.map((other, at) => {
      const did = dids[at]
      return did !== undefined && isVisible(hydration, did)
        ? {
            $type: 'app.bsky.graph.defs#relationship' as const,
            did,
            ...hydration.relations.get(did),
          }
        : {
            $type: 'app.bsky.graph.defs#notFoundActor' as const,
            actor: other,
            notFound: true as const,
          }
    })
    return { actor, relationships }
  })
}
