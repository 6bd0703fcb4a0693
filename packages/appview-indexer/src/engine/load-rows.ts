import type { DraftValue } from '../draft.ts'
import type { CollectionSchema } from '../schema.ts'
import type { ActorState, IndexTransaction, RowKey, StoredRow } from '../stores/transaction.ts'
import { together } from '../stores/maybe-promise.ts'
import type { MaybePromise } from '../stores/maybe-promise.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'
import { deriveEffects, effectsOfDocument } from './version.ts'
import type { EffectsText } from './version.ts'

/** A stored row with everything it does to the rest of the index. */
export interface LoadedRow {
  readonly actor: ActorState
  readonly collection: CollectionSchema
  readonly row: StoredRow
  readonly effects: EffectsText
}

/** What {@link readRows} looks for. */
interface LoadKey {
  readonly actor: ActorState
  readonly collection: CollectionSchema
  readonly rkey: string
}

/** Loads rows of several collections with one question per collection; the order of `keys` is kept. */
export function* loadRows(
  tx: IndexTransaction,
  keys: readonly LoadKey[],
): Steps<(StoredRow | undefined)[]> {
  return yield* ask(readRows(tx, keys))
}

/** The same, asked at once and not waited for; a promise must be taken before anything else is awaited. */
export function readRows(
  tx: IndexTransaction,
  keys: readonly LoadKey[],
): MaybePromise<(StoredRow | undefined)[]> {
  const groups = new Map<CollectionSchema, { keys: RowKey[]; at: number[] }>()
  keys.forEach(({ actor, collection, rkey }, index) => {
    let group = groups.get(collection)
    if (group === undefined) groups.set(collection, (group = { keys: [], at: [] }))
    group.keys.push({ repo: actor.id, rkey })
    group.at.push(index)
  })
  const answers = together(
    [...groups].map(([collection, group]) => tx.rows(collection, group.keys)),
  )
  const inOrder = (
    rows: readonly (readonly (StoredRow | undefined)[])[],
  ): (StoredRow | undefined)[] => {
    const found: (StoredRow | undefined)[] = Array.from({ length: keys.length }, () => undefined)
    for (const [group, { at }] of [...groups.values()].entries())
      for (const [index, position] of at.entries()) found[position] = rows[group]?.[index]
    return found
  }
  return answers instanceof Promise ? answers.then(inOrder) : inOrder(answers)
}

/** Derives the effects of stored rows again: documents from their bytes, edges from their columns. */
export function* effectsOfRows(
  tx: IndexTransaction,
  rows: readonly Omit<LoadedRow, 'effects'>[],
): Steps<LoadedRow[]> {
  const edges = rows.filter(({ collection }) => collection.edge)
  const values = yield* textValues(tx, edges)
  return rows.map((item) => {
    const { actor, collection, row } = item
    const edge = values.get(item)
    const effects =
      edge === undefined
        ? effectsOfDocument(collection, actor.did, row)
        : deriveEffects(collection, actor.did, row.rkey, edge, undefined)
    return { actor, collection, row, effects }
  })
}

/** The column values of stored rows with targets spelled out. */
export function* textValues<R extends Pick<LoadedRow, 'collection' | 'row'>>(
  tx: IndexTransaction,
  rows: readonly R[],
): Steps<Map<R, DraftValue[]>> {
  const wanted = new Set<number>()
  for (const { collection, row } of rows)
    collection.columns.forEach((column, index) => {
      const value = row.values[index]
      if ((column.kind === 'uri' || column.kind === 'did') && typeof value === 'number')
        wanted.add(value)
    })
  const texts = new Map<number, string>()
  if (wanted.size > 0) {
    const ids = [...wanted]
    const described = yield* ask(tx.describeTargets(ids))
    ids.forEach((id, index) => texts.set(id, described[index] ?? ''))
  }
  return new Map(rows.map((item) => [item, valuesOf(item.collection, item.row, texts)]))
}

function valuesOf(
  collection: CollectionSchema,
  row: StoredRow,
  texts: ReadonlyMap<number, string>,
): DraftValue[] {
  return collection.columns.map((column, index) => {
    const value = row.values[index]
    if (value === null || value === undefined) return undefined
    return column.kind === 'uri' || column.kind === 'did' ? texts.get(Number(value)) : value
  })
}
