import type { Draft } from '../draft.ts'
import type { CollectionSchema, Schema } from '../schema.ts'
import { STATE_GATED, STATE_HIDDEN } from '../stores/transaction.ts'
import type { ActorState, ChangeSet, IndexTransaction, StoredRow } from '../stores/transaction.ts'
import { formatRecordUri } from '../target.ts'
import { addEffects, createChangeSet, recordDependency, removeEffects } from './change-set.ts'
import { askGates } from './gates.ts'
import { dropDeadLetters } from './dead-letter-limits.ts'
import type { DeadLetterLimits } from './dead-letter-limits.ts'
import { effectsOfRows, readRows } from './load-rows.ts'
import { judgeRecord } from './judge.ts'
import type { Judged } from './judge.ts'
import { Names } from './names.ts'
import type { PendingRow } from './pending-row.ts'
import { equalBytes, storedCid } from './record-change.ts'
import type { RecordChange } from './record-change.ts'
import { keepWithinLimits } from './retain.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'
import { resolveUnique } from './unique.ts'

/** A record that was kept out, and why. */
export interface RecordFailure {
  readonly did: string
  readonly collection: string
  readonly rkey: string
  readonly reason: string
  /** Whether it was kept as a dead letter; there is a bound. */
  readonly kept: boolean
}

/** What applying changes did. */
export interface ApplyOutcome {
  readonly records: number
  /** The same by account. */
  readonly recordsOf: ReadonlyMap<ActorState, number>
  readonly failures: readonly RecordFailure[]
  /** Short names of collections whose rows changed. */
  readonly touched: ReadonlySet<string>
  /** Gates are waiting to be asked again: more than one transaction should hold. */
  readonly gatesDue: boolean
  /** Accounts that have fewer records than are kept, while their repo may have more. */
  readonly shortened: readonly ActorState[]
}

const NOTHING: ApplyOutcome = {
  records: 0,
  recordsOf: new Map(),
  failures: [],
  touched: new Set(),
  gatesDue: false,
  shortened: [],
}

/** What applying changes needs to know. */
export interface ChangeContext {
  readonly schema: Schema
  readonly now: number
  /** How many refused records are kept. All, where none is said: of what is stored already. */
  readonly deadLetterLimits?: DeadLetterLimits
}

/**
 * Brings the index from one set of records to another: the heart of the indexer.
 *
 * Reads what is touched in bulk, decides in memory, writes one change set. The result depends on the
 * records alone, not on the order they came in.
 */
export function* applyChanges(
  context: ChangeContext,
  tx: IndexTransaction,
  changes: readonly RecordChange[],
  options: { readonly fresh?: boolean } = {},
): Steps<ApplyOutcome> {
  const { schema, now, deadLetterLimits } = context
  if (changes.length === 0) return NOTHING
  const touched = new Set<string>()
  const changeSet = createChangeSet()
  const names = new Names()

  const asked = options.fresh === true ? changes.map(() => undefined) : readRows(tx, changes)
  let ahead: readonly Judged[] | undefined
  let stored: readonly (StoredRow | undefined)[]
  if (asked instanceof Promise) {
    // While a server looks for the rows, all records are decoded, not only those that turn out to be new, and what they
    // name is asked for.
    ahead = changes.map((change) => change.judged ?? judgeChange(change, now))
    for (const [index, change] of changes.entries()) wantJudged(names, change, ahead[index])
    stored = (yield* ask(Promise.all([asked, names.loadTargets(tx)])))[0]
  } else stored = asked
  const live: { change: RecordChange; row: StoredRow | undefined; judged: Judged | undefined }[] =
    []
  changes.forEach((change, index) => {
    const row = stored[index]
    if (row !== undefined && change.put !== undefined && change.again !== true) {
      if (equalBytes(row.cid, storedCid(change.collection, change.put.cid))) return
    }
    live.push({ change, row, judged: ahead?.[index] })
  })
  const olds = yield* effectsOfRows(
    tx,
    live.flatMap(({ change, row }) =>
      row === undefined ? [] : [{ actor: change.actor, collection: change.collection, row }],
    ),
  )

  const pending: PendingRow[] = []
  let nextOld = 0
  for (const { change, row, judged = judgeChange(change, now) } of live) {
    const old = row === undefined ? undefined : olds[nextOld++]
    const { actor, collection, rkey } = change
    const { draft, effects, failure } = judged
    names.wantCollection(collection)
    pending.push({
      actor,
      collection,
      rkey,
      old,
      draft,
      effects,
      failure,
      values: [],
      // A gate opens when it was asked, in the same transaction.
      state: (actor.active ? 0 : STATE_HIDDEN) | (collection.gate === undefined ? 0 : STATE_GATED),
    })
  }
  const dropped =
    deadLetterLimits === undefined
      ? new Set<PendingRow>()
      : yield* dropDeadLetters(
          tx,
          deadLetterLimits,
          pending,
          (index) => live[index]?.change.put?.bytes.length ?? 0,
        )
  const failures = pending.flatMap((item): RecordFailure[] => {
    const { actor, collection, rkey, failure } = item
    if (failure === undefined) return []
    const kept = !dropped.has(item)
    return [{ did: actor.did, collection: collection.nsid, rkey, reason: failure, kept }]
  })
  const limited = schema.hasLimits ? yield* keepWithinLimits(tx, pending) : undefined
  let records = 0
  const recordsOf = new Map<ActorState, number>()
  for (const { actor, collection, rkey, old, draft, effects, failure } of pending) {
    if (old !== undefined || draft !== undefined || failure !== undefined) {
      records++
      recordsOf.set(actor, (recordsOf.get(actor) ?? 0) + 1)
    }
    if (old !== undefined || draft !== undefined) touched.add(collection.name)
    if (old !== undefined) names.wantEffects(collection, old.effects)
    wantJudged(names, { actor, collection, rkey }, { draft, effects })
  }
  yield* names.load(tx)

  for (const item of pending) {
    if (item.draft !== undefined)
      item.values = item.collection.columns.map((column, index) => {
        const value = item.draft?.values[index]
        if (value === undefined) return null
        return column.kind === 'uri' || column.kind === 'did' ? names.target(String(value)) : value
      })
  }
  const moved = yield* resolveUnique(tx, pending, options.fresh === true)
  for (const row of moved) names.wantEffects(row.collection, row.effects)
  yield* names.load(tx)

  live.forEach(({ change }, index) => {
    const item = pending[index]
    if (item !== undefined)
      writeItem(changeSet, names, change, item, { now, keepsDead: !dropped.has(item) })
  })
  for (const { collection, row, effects, state } of moved) {
    touched.add(collection.name)
    removeEffects(changeSet, names, collection, row, effects)
    addEffects(changeSet, names, collection, { ...row, state }, effects)
    changeSet.rowStates.push({ collection, key: row, id: row.id, state })
  }
  yield* ask(tx.write(changeSet))
  const gatesDue = schema.hasGates && (yield* askGates(schema, tx, GATE_ROWS, touched))
  const shortened = limited?.shortened ?? []
  const outcome = { records, recordsOf, failures, touched, gatesDue, shortened }
  if (limited === undefined || limited.pushedOut.length === 0) return outcome
  const after = yield* applyChanges(context, tx, limited.pushedOut)
  return {
    ...outcome,
    records: records + after.records,
    recordsOf: addUp(recordsOf, after.recordsOf),
    touched: new Set([...touched, ...after.touched]),
    gatesDue: gatesDue || after.gatesDue,
  }
}

function addUp<K>(left: ReadonlyMap<K, number>, right: ReadonlyMap<K, number>): Map<K, number> {
  const sums = new Map(left)
  for (const [key, value] of right) sums.set(key, (sums.get(key) ?? 0) + value)
  return sums
}

function judgeChange(change: RecordChange, now: number): Judged {
  const { actor, collection, rkey, put, kept } = change
  return put === undefined ? {} : judgeRecord(collection, actor.did, rkey, put.bytes, now, kept)
}

function wantJudged(
  names: Names,
  { actor, collection, rkey }: Pick<RecordChange, 'actor' | 'collection' | 'rkey'>,
  { draft, effects }: Judged = {},
): void {
  if (draft === undefined || effects === undefined) return
  names.wantEffects(collection, effects)
  wantValues(names, collection, draft)
  if (!collection.edge) names.wantTarget(formatRecordUri(actor.did, collection.nsid, rkey))
}

function wantValues(names: Names, collection: CollectionSchema, draft: Draft): void {
  collection.columns.forEach((column, index) => {
    const value = draft.values[index]
    if ((column.kind === 'uri' || column.kind === 'did') && typeof value === 'string')
      names.wantTarget(value)
  })
}

function writeItem(
  changeSet: ChangeSet,
  names: Names,
  change: RecordChange,
  item: PendingRow,
  { now, keepsDead }: { readonly now: number; readonly keepsDead: boolean },
): void {
  const { actor, collection, rkey, old, draft, effects } = item
  if (old !== undefined) removeEffects(changeSet, names, collection, old.row, old.effects)
  if (draft === undefined || effects === undefined || change.put === undefined) {
    if (old !== undefined) {
      changeSet.rowDeletes.push({ collection, key: old.row, id: old.row.id })
      noteRecordChange(changeSet, collection, old.row)
    }
  } else {
    const indexedAt = old?.row.indexedAt ?? change.indexedAt ?? now
    const row: StoredRow = {
      repo: actor.id,
      rkey,
      id: collection.edge ? 0 : names.target(formatRecordUri(actor.did, collection.nsid, rkey)) / 2,
      cid: storedCid(collection, change.put.cid),
      state: item.state,
      indexedAt,
      sortAt: Math.min(draft.claimedAt ?? indexedAt, indexedAt),
      values: item.values,
      bytes: collection.keepsRecord ? change.put.bytes : undefined,
    }
    changeSet.rowPuts.push({ collection, row })
    addEffects(changeSet, names, collection, row, effects)
    noteRecordChange(changeSet, collection, row)
  }
  const space = names.space(collection)
  if (collection.gate !== undefined)
    (draft === undefined ? changeSet.gateForget : changeSet.gateDue).push({
      space,
      repo: actor.id,
      rkey,
    })
  changeSet.deadDeletes.push({ repo: actor.id, space, rkey })
  if (item.failure !== undefined && change.put !== undefined && keepsDead)
    changeSet.deadPuts.push({
      repo: actor.id,
      space,
      rkey,
      cid: change.put.cid,
      reason: item.failure.slice(0, MAX_REASON_LENGTH),
      bytes: change.put.bytes,
      at: now,
    })
}

function noteRecordChange(
  changeSet: ChangeSet,
  collection: CollectionSchema,
  row: StoredRow,
): void {
  if (collection.feedsGates && !collection.edge)
    changeSet.gateTriggers.add(recordDependency(row.id * 2))
}

/** Gates asked within the transaction that made them due; the others follow in transactions of their own. */
const GATE_ROWS = 1_000
/** Longest reason kept with a dead letter, in characters. */
const MAX_REASON_LENGTH = 1_000
