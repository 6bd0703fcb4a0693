import { cidForCbor } from '@skywright/repo'

import { redraftRecord } from '../draft.ts'
import type { Draft, DraftValue } from '../draft.ts'
import { InvalidRecordError } from '../errors.ts'
import { keepsColumns } from '../old-table.ts'
import type { CollectionSchema } from '../schema.ts'
import { shadowOf, withShadow } from '../shadow.ts'
import { REPO_QUEUED } from '../stores/transaction.ts'
import type { ActorState, IndexTransaction, OldRow } from '../stores/transaction.ts'
import { applyChanges } from './apply-changes.ts'
import type { EngineContext } from './apply-events.ts'
import { askGates } from './gates.ts'
import type { RecordChange } from './record-change.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Version, codec, hash, length and a SHA-256. */
const CID_BYTES = 36
/** Of no record: whatever a fetched repo holds is another version. */
export const NO_CID: Uint8Array = new Uint8Array(0)
/** Rows derived again in one transaction. */
const REBUILD_ROWS = 2_000

/**
 * Does one bounded piece of deriving the rows of changed collections again, from the stored records, without the
 * network: into tables of their own, which take the place of the old ones in the transaction that finds nothing left to
 * derive. Rows that kept no record (edges) are derived from their columns, or make their repo be fetched. Nothing else may
 * be written meanwhile. Answers false when nothing is left.
 */
export function* rebuildStep(context: EngineContext, tx: IndexTransaction): Steps<boolean> {
  const tasks = yield* ask(tx.rebuilds())
  const [task] = tasks
  if (task === undefined) return yield* fillStep(tx)
  const { collection, from, after } = task
  const shadow = shadowOf(collection)
  // A gate looks at tables as they are declared; while one is not, rows wait, and are asked when all are.
  const canAsk = context.schema.hasGates && tasks.every(({ changed }) => !changed)
  const schema = withShadow(context.schema, shadow, canAsk)
  const rows = yield* ask(tx.rowsAfter(from, collection, after, REBUILD_ROWS))
  const last = rows.at(-1)
  if (last === undefined) {
    if (canAsk && (yield* askGates(schema, tx, REBUILD_ROWS, new Set()))) return true
    yield* ask(tx.swap(task))
    return true
  }
  const actors = yield* actorsOf(tx, rows)
  const queued = new Set<ActorState>()
  const texts = keepsColumns(collection, from)
    ? yield* targetTexts(tx, collection, rows)
    : undefined
  const changes: RecordChange[] = []
  for (const row of rows) {
    const { repo, rkey, cid, bytes, indexedAt } = row
    const actor = actors.get(repo)
    if (actor === undefined) continue
    if (bytes !== undefined) {
      // Edges keep a part of the CID only; documents need all of it.
      const whole = cid.length < CID_BYTES ? cidForCbor(bytes).bytes : cid
      changes.push({ actor, collection: shadow, rkey, put: { cid: whole, bytes }, indexedAt })
      continue
    }
    const kept = texts === undefined ? undefined : keptDraft(collection, row, texts)
    if (kept === undefined || task.refetch) queued.add(actor)
    const known = task.refetch ? NO_CID : cid
    if (kept !== undefined)
      changes.push({
        actor,
        collection: shadow,
        rkey,
        put: { cid: known, bytes: NO_CID },
        kept,
        indexedAt,
      })
  }
  yield* applyChanges({ schema, now: context.now }, tx, changes)
  yield* queueFetches(tx, queued)
  yield* ask(tx.continueAfter(collection, last.at))
  return true
}

/** Makes repos be fetched as soon as somebody can. */
export function* queueFetches(tx: IndexTransaction, actors: ReadonlySet<ActorState>): Steps<void> {
  for (const actor of actors) {
    actor.sync = REPO_QUEUED
    actor.dueAt = 0
  }
  yield* ask(tx.putActors([...actors]))
}

/** The accounts of rows, by id. */
export function* actorsOf(
  tx: IndexTransaction,
  rows: readonly OldRow[],
): Steps<Map<number, ActorState>> {
  const actors = yield* ask(tx.actorsById([...new Set(rows.map(({ repo }) => repo))]))
  return new Map(actors.map((actor) => [actor.id, actor]))
}

/** The texts of the targets that the columns of rows name. */
export function* targetTexts(
  tx: IndexTransaction,
  collection: CollectionSchema,
  rows: readonly OldRow[],
): Steps<Map<number, string>> {
  const ids = new Set<number>()
  for (const { values } of rows)
    collection.columns.forEach(({ kind }, index) => {
      const value = values[index]
      if ((kind === 'uri' || kind === 'did') && typeof value === 'number') ids.add(value)
    })
  const texts = yield* ask(tx.describeTargets([...ids]))
  return new Map([...ids].map((id, index) => [id, texts[index] ?? '']))
}

/** What the columns of a row say; undefined when one that is required now is absent. */
export function keptDraft(
  collection: CollectionSchema,
  row: OldRow,
  texts: ReadonlyMap<number, string>,
): Draft | undefined {
  const values: DraftValue[] = []
  for (const [index, { kind, required }] of collection.columns.entries()) {
    const stored = row.values[index] ?? undefined
    const value = kind === 'uri' || kind === 'did' ? texts.get(Number(stored)) : stored
    if (value === undefined && required) return undefined
    values.push(value)
  }
  return { record: {}, values, links: [], claimedAt: row.sortAt }
}

/** Reads columns that were added from the stored records; nothing else is derived from them, so everything else stays. */
function* fillStep(tx: IndexTransaction): Steps<boolean> {
  const [collection] = yield* ask(tx.unfilled())
  if (collection === undefined) return false
  const rows = yield* ask(tx.takeUnfilled(collection, REBUILD_ROWS))
  try {
    const filled = rows.map(({ id, bytes }) => {
      const { values } = redraftRecord(collection, bytes)
      const plain = collection.columns.flatMap(({ kind }, at) =>
        kind === 'uri' || kind === 'did' ? [] : [values[at] ?? null],
      )
      return { id, values: plain }
    })
    if (filled.length > 0) yield* ask(tx.fill(collection, filled))
  } catch (error) {
    if (!(error instanceof InvalidRecordError)) throw error
    // A record the new columns refuse is no row any more: all is derived again.
    yield* ask(tx.beginRebuild(collection, false))
  }
  return true
}
