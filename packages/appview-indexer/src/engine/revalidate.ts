import { draftRecord } from '../draft.ts'
import { tableOf } from '../old-table.ts'
import type { CollectionSchema } from '../schema.ts'
import type { ActorState, IndexTransaction, OldRow } from '../stores/transaction.ts'
import { applyChanges } from './apply-changes.ts'
import type { ApplyOutcome } from './apply-changes.ts'
import type { EngineContext } from './apply-events.ts'
import { actorsOf, keptDraft, NO_CID, queueFetches, targetTexts } from './rebuild.ts'
import type { RecordChange } from './record-change.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Rows judged in one transaction. */
const JUDGED_ROWS = 2_000

/** One piece of judging a collection again. */
export interface JudgedPart {
  readonly outcome: ApplyOutcome
  /** Where to go on; undefined at the end. */
  readonly after: readonly (string | number)[] | undefined
}

/**
 * Judges the next stored records by the declaration as it is, where they are: those that fit stay untouched, the others
 * become dead letters and are taken out with all they count for. Rows that kept no record cannot be judged: their repos
 * are fetched again, where somebody can.
 */
export function* revalidateStep(
  context: EngineContext,
  tx: IndexTransaction,
  collection: CollectionSchema,
  after: readonly (string | number)[],
): Steps<JudgedPart> {
  const rows = yield* ask(tx.rowsAfter(tableOf(collection), collection, after, JUDGED_ROWS))
  const actors = yield* actorsOf(tx, rows)
  const changes = collection.keepsRecord
    ? refused(collection, rows, actors)
    : context.canFetch
      ? yield* unknownAgain(tx, collection, rows, actors)
      : []
  const { schema, now } = context
  const outcome = yield* applyChanges({ schema, now }, tx, changes)
  return { outcome, after: rows.length < JUDGED_ROWS ? undefined : rows.at(-1)?.at }
}

function refused(
  collection: CollectionSchema,
  rows: readonly OldRow[],
  actors: ReadonlyMap<number, ActorState>,
): RecordChange[] {
  return rows.flatMap(({ repo, rkey, cid, bytes }): RecordChange[] => {
    const actor = actors.get(repo)
    if (actor === undefined || bytes === undefined) return []
    try {
      draftRecord(collection, rkey, bytes)
      return []
    } catch {
      // It fails in the same way where changes are applied, which keeps the reason.
      return [{ actor, collection, rkey, put: { cid, bytes }, again: true }]
    }
  })
}

/** Makes the rows ones of an unknown version, so that a fetched repo decides. */
function* unknownAgain(
  tx: IndexTransaction,
  collection: CollectionSchema,
  rows: readonly OldRow[],
  actors: ReadonlyMap<number, ActorState>,
): Steps<RecordChange[]> {
  const texts = yield* targetTexts(tx, collection, rows)
  yield* queueFetches(tx, new Set(actors.values()))
  return rows.flatMap((row): RecordChange[] => {
    const { repo, rkey, indexedAt } = row
    const actor = actors.get(repo)
    const kept = keptDraft(collection, row, texts)
    if (actor === undefined || kept === undefined) return []
    return [{ actor, collection, rkey, put: { cid: NO_CID, bytes: NO_CID }, kept, indexedAt }]
  })
}
