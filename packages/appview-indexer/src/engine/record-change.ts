import type { Draft } from '../draft.ts'
import type { CollectionSchema } from '../schema.ts'
import type { ActorState } from '../stores/transaction.ts'
import type { Judged } from './judge.ts'

/** What a batch finally does to one record: a new version, or its end. */
export interface RecordChange {
  readonly actor: ActorState
  readonly collection: CollectionSchema
  readonly rkey: string
  readonly put: { readonly cid: Uint8Array; readonly bytes: Uint8Array } | undefined
  /** When the record was first seen, where that is known from before. */
  readonly indexedAt?: number
  /** What a record says whose bytes were not kept; then nothing is read from them. */
  readonly kept?: Draft
  /** What the record says and does, where it was decoded already. */
  readonly judged?: Judged | undefined
  /** Whether to judge the record although it is indexed as it is. */
  readonly again?: boolean
}

/** The last word per record of a batch: intermediate versions leave no trace, so they need no work. */
export class ChangeCollector {
  readonly #changes = new Map<string, RecordChange>()

  set(change: RecordChange): void {
    this.#changes.set(`${change.actor.id}/${change.collection.name}/${change.rkey}`, change)
  }

  get size(): number {
    return this.#changes.size
  }

  values(): RecordChange[] {
    return [...this.#changes.values()]
  }
}

const FINGERPRINT_BYTES = 8

/** What a collection keeps of a CID: everything, or for edges the last eight bytes of its digest. */
export function storedCid(collection: CollectionSchema, cid: Uint8Array): Uint8Array {
  return collection.edge ? cid.subarray(Math.max(0, cid.length - FINGERPRINT_BYTES)) : cid
}

/** Whether two byte strings are equal. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let at = 0; at < left.length; at++) if (left[at] !== right[at]) return false
  return true
}
