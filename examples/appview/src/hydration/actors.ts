import { profileUri } from '../at-uri.ts'
import type { AppIndex } from '../collections.ts'
import type { Hydration } from './hydration.ts'
import { hydrateLabels } from './labels.ts'
import { batches } from './read-all.ts'

/** How the viewer and others may stand to each other, as `Relation` names it. */
const RELATIONS = {
  following: { from: 'follow', path: 'subject' },
  followedBy: { from: 'follow', path: 'subject', reverse: true },
  blocking: { from: 'block', path: 'subject' },
  blockedBy: { from: 'block', path: 'subject', reverse: true },
} as const

/** Loads accounts, their profiles and how the viewer stands to them. Accounts already loaded are skipped. */
export async function hydrateActors(
  index: AppIndex,
  hydration: Hydration,
  dids: Iterable<string>,
): Promise<void> {
  const missing = new Set<string>()
  for (const did of dids) if (!hydration.actors.has(did)) missing.add(did)
  for (const batch of batches(missing)) {
    const [actors, profiles] = await Promise.all([
      index.actors(batch),
      index.getMany('profile', batch.map(profileUri)),
      hydrateRelations(index, hydration, batch),
    ])
    for (const [did, actor] of actors) hydration.actors.set(did, actor)
    await hydrateLabels(index, hydration, [...batch, ...profiles.values()])
    for (const profile of profiles.values())
      if (hydration.labels.get(profile.uri)?.redacted !== true)
        hydration.profiles.set(profile.did, profile)
  }
}

/** Loads follows and blocks between the viewer and these accounts. */
async function hydrateRelations(
  index: AppIndex,
  hydration: Hydration,
  dids: readonly string[],
): Promise<void> {
  const { viewer, relations } = hydration
  if (viewer === undefined) return
  const others = dids.filter((did) => did !== viewer)
  if (others.length === 0) return
  for (const [did, relation] of await index.relations(viewer, others, RELATIONS))
    relations.set(did, relation)
}
