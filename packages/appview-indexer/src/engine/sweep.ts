import type { CollectionSchema } from '../schema.ts'
import { STATE_HIDDEN, SWEEP_NONE, SWEEP_PURGE } from '../stores/transaction.ts'
import type { ActorState, IndexTransaction, StoredKey } from '../stores/transaction.ts'
import { applyChanges } from './apply-changes.ts'
import type { EngineContext } from './apply-events.ts'
import { addEffects, createChangeSet, removeEffects } from './change-set.ts'
import { drainParked } from './drain-parked.ts'
import { expireStep } from './expire.ts'
import { effectsOfRows, loadRows } from './load-rows.ts'
import { askGates } from './gates.ts'
import { Names } from './names.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Rows one sweep transaction handles: a big account must not hold up the stream. */
export const SWEEP_ROWS = 1_000

/** Rows looked at in one transaction that removes what a rebuild replaced. */
const REMAINS_ROWS = 10_000

/** What one sweep step did. */
export interface SweepOutcome {
  readonly more: boolean
  readonly touched: ReadonlySet<string>
}

/**
 * Does one bounded piece of the oldest pending sweep: hides or shows an account's rows (and takes back or
 * restores everything they count for), or removes them. Progress is stored in the same transaction.
 */
export function* sweepStep(context: EngineContext, tx: IndexTransaction): Steps<SweepOutcome> {
  const [actor] = yield* ask(tx.dueActors('sweep', context.now, 1))
  if (actor === undefined) {
    const opened = new Set<string>()
    const asking =
      context.schema.hasGates && (yield* askGates(context.schema, tx, SWEEP_ROWS, opened))
    if (asking) return { more: true, touched: opened }
    const expired = yield* expireStep(context, tx, SWEEP_ROWS)
    const more = expired.more || (yield* ask(tx.dropRemains(REMAINS_ROWS)))
    return { more, touched: new Set([...opened, ...expired.touched]) }
  }
  const { collections } = context.schema
  const slash = actor.sweepAt.indexOf('/')
  const name = actor.sweepAt.slice(0, Math.max(0, slash))
  const position = Math.max(
    0,
    collections.findIndex((collection) => collection.name === name),
  )
  const collection = collections[position]
  const touched = new Set<string>()
  if (collection === undefined) {
    yield* finish(context, tx, actor, touched)
    return { more: true, touched }
  }
  const after = collection.name === name ? actor.sweepAt.slice(slash + 1) : ''
  const keys = yield* ask(tx.repoKeys(collection, actor.id, after, SWEEP_ROWS))
  let refused = 0
  if (actor.sweep === SWEEP_PURGE) refused = yield* purge(context, tx, actor, collection, keys)
  else yield* setVisibility(tx, actor, collection, keys)
  if (keys.length > 0) touched.add(collection.name)
  const last = keys.at(-1)
  if (refused > 0) return { more: true, touched }
  if (keys.length >= SWEEP_ROWS && last !== undefined)
    actor.sweepAt = `${collection.name}/${last.rkey}`
  else {
    const next = collections[position + 1]
    if (next === undefined) {
      yield* finish(context, tx, actor, touched)
      return { more: true, touched }
    }
    actor.sweepAt = `${next.name}/`
  }
  yield* ask(tx.putActors([actor]))
  return { more: true, touched }
}

function* finish(
  context: EngineContext,
  tx: IndexTransaction,
  actor: ActorState,
  touched: Set<string>,
): Steps<void> {
  if (actor.sweep === SWEEP_PURGE) actor.deadDropped = 0
  actor.sweep = SWEEP_NONE
  actor.sweepAt = ''
  yield* ask(tx.putActors([actor]))
  for (const name of yield* drainParked(context, tx, actor)) touched.add(name)
}

/** Answers how many refused records are left: they are worked off as rows are. */
function* purge(
  context: EngineContext,
  tx: IndexTransaction,
  actor: ActorState,
  collection: CollectionSchema,
  keys: readonly StoredKey[],
): Steps<number> {
  const space = (yield* ask(tx.names('space', [collection.space])))[0] ?? 0
  const dead = yield* ask(tx.deadKeys(actor.id, space))
  yield* applyChanges(
    context,
    tx,
    [...keys, ...dead.slice(0, SWEEP_ROWS)].map(({ rkey }) => ({
      actor,
      collection,
      rkey,
      put: undefined,
    })),
  )
  return Math.max(0, dead.length - SWEEP_ROWS)
}

function* setVisibility(
  tx: IndexTransaction,
  actor: ActorState,
  collection: CollectionSchema,
  keys: readonly StoredKey[],
): Steps<void> {
  const wanted = actor.active ? 0 : STATE_HIDDEN
  const wrong = keys
    .filter(({ state }) => (state & STATE_HIDDEN) !== wanted)
    .map(({ rkey }) => ({ actor, collection, rkey }))
  if (wrong.length === 0) return
  const rows = yield* loadRows(tx, wrong)
  const loaded = yield* effectsOfRows(
    tx,
    rows.flatMap((row) => (row === undefined ? [] : [{ actor, collection, row }])),
  )
  const names = new Names()
  for (const { effects } of loaded) names.wantEffects(collection, effects)
  yield* names.load(tx)
  const changes = createChangeSet()
  for (const { row, effects } of loaded) {
    const state = (row.state & ~STATE_HIDDEN) | wanted
    removeEffects(changes, names, collection, row, effects)
    addEffects(changes, names, collection, { ...row, state }, effects)
    changes.rowStates.push({ collection, key: row, id: row.id, state })
  }
  yield* ask(tx.write(changes))
}
