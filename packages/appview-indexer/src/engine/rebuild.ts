import { cidForCbor } from '@skywright/repo'

import { InvalidRecordError } from '../errors.ts'
import { REPO_QUEUED } from '../stores/transaction.ts'
import { redraftRecord } from '../draft.ts'
import type { IndexTransaction } from '../stores/transaction.ts'
import { applyChanges } from './apply-changes.ts'
import type { EngineContext } from './apply-events.ts'
import type { RecordChange } from './record-change.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Version, codec, hash, length and a SHA-256. */
const CID_BYTES = 36
/** Rows derived again in one transaction. */
const REBUILD_ROWS = 2_000

/**
 * Does one bounded piece of deriving the rows of changed collections again, from the stored records, without the
 * network. Rows that kept no record (edges) make their repo be fetched. Answers false when nothing is left.
 */
export function* rebuildStep(context: EngineContext, tx: IndexTransaction): Steps<boolean> {
  const [collection] = yield* ask(tx.setAside())
  if (collection === undefined) return yield* fillStep(tx)
  const rows = yield* ask(tx.takeSetAside(collection, REBUILD_ROWS))
  const actors = yield* ask(tx.actorsById([...new Set(rows.map(({ repo }) => repo))]))
  const byId = new Map(actors.map((actor) => [actor.id, actor]))
  const changes: RecordChange[] = []
  const queued = new Set<number>()
  for (const { repo, rkey, cid, bytes, indexedAt } of rows) {
    const actor = byId.get(repo)
    if (actor === undefined) continue
    if (bytes !== undefined) {
      // Edges keep a part of the CID only; documents need all of it.
      const whole = cid.length < CID_BYTES ? cidForCbor(bytes).bytes : cid
      changes.push({ actor, collection, rkey, put: { cid: whole, bytes }, indexedAt })
    } else if (!queued.has(repo)) {
      queued.add(repo)
      actor.sync = REPO_QUEUED
      actor.dueAt = 0
    }
  }
  yield* applyChanges(context, tx, changes)
  yield* ask(tx.putActors(actors.filter(({ id }) => queued.has(id))))
  return true
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
    yield* ask(tx.putAside(collection))
  }
  return true
}
