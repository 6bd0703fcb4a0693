import type { Draft } from '../draft.ts'
import type { CollectionSchema } from '../schema.ts'
import type { ActorState, StoredValue } from '../stores/transaction.ts'
import type { LoadedRow } from './load-rows.ts'
import type { EffectsText } from './version.ts'

/** One change on its way into the change set. */
export interface PendingRow {
  readonly actor: ActorState
  readonly collection: CollectionSchema
  readonly rkey: string
  readonly old: LoadedRow | undefined
  /** Undefined also when the version is not kept. */
  draft: Draft | undefined
  effects: EffectsText | undefined
  /** Why the new version is kept out; undefined when it is fine or there is none. */
  readonly failure: string | undefined
  /** Values of the new version with targets as ids; filled after interning. */
  values: readonly StoredValue[]
  /** State of the new version; uniqueness may add the shadow bit. */
  state: number
}
