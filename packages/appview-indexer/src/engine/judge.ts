import { draftRecord } from '../draft.ts'
import type { Draft } from '../draft.ts'
import type { CollectionSchema } from '../schema.ts'
import { storableText } from '../storable-text.ts'
import { deriveEffects } from './version.ts'
import type { EffectsText } from './version.ts'

/** What becomes of a new version: what it says and does, or why it is kept out. None is there for one that is not kept. */
export interface Judged {
  readonly draft?: Draft | undefined
  readonly effects?: EffectsText | undefined
  readonly failure?: string
}

/** Judges a record before any database is involved. Pure. `made` is what it says, where that is known already. */
export function judgeRecord(
  collection: CollectionSchema,
  did: string,
  rkey: string,
  bytes: Uint8Array,
  now: number,
  made?: Draft,
): Judged {
  try {
    const draft = made ?? draftRecord(collection, rkey, bytes)
    if (isExpired(collection, draft.claimedAt, now)) return {}
    return { draft, effects: deriveEffects(collection, did, rkey, draft.values, draft) }
  } catch (error) {
    return { failure: storableText(error instanceof Error ? error.message : String(error)) }
  }
}

/** Whether a record of this claimed time is older than its collection keeps them. */
function isExpired(
  { maxAgeMs }: CollectionSchema,
  claimedAt: number | undefined,
  now: number,
): boolean {
  return maxAgeMs !== undefined && claimedAt !== undefined && claimedAt < now - maxAgeMs
}
