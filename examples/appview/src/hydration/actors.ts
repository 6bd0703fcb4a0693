import { profileUri } from '../at-uri.ts'
import type { AppIndex } from '../collections.ts'
import type { Hydration, Relation } from './hydration.ts'
import { batches, readAll } from './read-all.ts'

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
    for (const profile of profiles.values()) hydration.profiles.set(profile.did, profile)
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
  const note = (did: string, relation: Relation): void => {
    relations.set(did, { ...relations.get(did), ...relation })
  }
  const [following, followedBy, blocking, blockedBy] = await Promise.all([
    readAll(index.select('follow').where({ did: viewer, subject: others })),
    readAll(index.select('follow').where({ did: others, subject: viewer })),
    readAll(index.select('block').where({ did: viewer, subject: others })),
    readAll(index.select('block').where({ did: others, subject: viewer })),
  ])
  for (const row of following) note(row.subject, { following: row.uri })
  for (const row of followedBy) note(row.did, { followedBy: row.uri })
  for (const row of blocking) note(row.subject, { blocking: row.uri })
  for (const row of blockedBy) note(row.did, { blockedBy: row.uri })
}
