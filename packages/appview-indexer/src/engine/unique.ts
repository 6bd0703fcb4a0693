import type { CollectionSchema } from '../schema.ts'
import { STATE_SHADOW } from '../stores/transaction.ts'
import type { ActorState, IndexTransaction, StoredValue } from '../stores/transaction.ts'
import { together } from '../stores/maybe-promise.ts'
import { effectsOfRows, loadRows } from './load-rows.ts'
import type { LoadedRow } from './load-rows.ts'
import type { PendingRow } from './pending-row.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** A stored row outside the batch that uniqueness turns from winner to shadow or back. */
export interface MovedRow extends LoadedRow {
  /** Its new state. */
  readonly state: number
}

/** All rows of a batch that share unique values within one account. */
interface Group {
  readonly actor: ActorState
  readonly collection: CollectionSchema
  readonly values: readonly StoredValue[]
  readonly removed: Set<string>
  readonly added: Map<string, PendingRow>
}

/**
 * Decides who counts among records that say the same thing: the lowest record key. Sets the shadow bit of the
 * batch's own rows and answers the stored rows whose standing changes. `fresh` promises that nothing is stored yet.
 *
 * Invariant kept: of all stored rows sharing unique values, exactly the lowest has no shadow bit.
 */
export function* resolveUnique(
  tx: IndexTransaction,
  pending: readonly PendingRow[],
  fresh: boolean,
): Steps<MovedRow[]> {
  const groups = new Map<string, Group>()
  for (const item of pending) {
    if (item.collection.unique.length === 0) continue
    if (item.old !== undefined) {
      const group = groupOf(groups, item, item.old.row.values)
      if (group !== undefined) group.removed.add(item.rkey)
    }
    if (item.draft !== undefined) {
      const group = groupOf(groups, item, item.values)
      if (group !== undefined) group.added.set(item.rkey, item)
    }
  }
  if (groups.size === 0) return []

  const standing: { group: Group; rkey: string; winnerNow: boolean; winnerThen: boolean }[] = []
  const batches = [...byCollection(groups.values())]
  const answers = fresh
    ? []
    : yield* ask(
        together(
          batches.map(([collection, batch]) =>
            tx.candidates(
              collection,
              batch.map(({ actor, values }) => ({ repo: actor.id, values })),
              batch.map(({ removed }) => removed.size + 1),
            ),
          ),
        ),
      )
  for (const [at, [, batch]] of batches.entries()) {
    const found = answers[at] ?? []
    batch.forEach((group, index) => {
      const stored = found[index] ?? []
      const rest = stored.find((rkey) => !group.removed.has(rkey))
      let winner = rest
      for (const rkey of group.added.keys())
        if (winner === undefined || rkey < winner) winner = rkey
      for (const [rkey, item] of group.added) if (rkey !== winner) item.state |= STATE_SHADOW
      if (rest !== undefined)
        standing.push({
          group,
          rkey: rest,
          winnerThen: rest === stored[0],
          winnerNow: rest === winner,
        })
    })
  }

  const changing = standing.filter(({ winnerNow, winnerThen }) => winnerNow !== winnerThen)
  if (changing.length === 0) return []
  const rows = yield* loadRows(
    tx,
    changing.map(({ group, rkey }) => ({ actor: group.actor, collection: group.collection, rkey })),
  )
  const loaded = yield* effectsOfRows(
    tx,
    changing.flatMap(({ group }, index) => {
      const row = rows[index]
      return row === undefined ? [] : [{ actor: group.actor, collection: group.collection, row }]
    }),
  )
  const promoted = new Map(
    changing.map((item) => [
      `${item.group.collection.name}/${item.group.actor.id}/${item.rkey}`,
      item.winnerNow,
    ]),
  )
  return loaded.map((item) => ({
    ...item,
    state:
      promoted.get(`${item.collection.name}/${item.row.repo}/${item.row.rkey}`) === true
        ? item.row.state & ~STATE_SHADOW
        : item.row.state | STATE_SHADOW,
  }))
}

/** The group of a row; undefined when a unique column is absent: such records never collide. */
function groupOf(
  groups: Map<string, Group>,
  item: PendingRow,
  values: readonly StoredValue[],
): Group | undefined {
  const { actor, collection } = item
  const unique: StoredValue[] = []
  for (const index of collection.unique) {
    const value = values[index] ?? null
    if (value === null) return undefined
    unique.push(value)
  }
  const key = `${collection.name}\n${actor.id}\n${JSON.stringify(unique)}`
  let group = groups.get(key)
  if (group === undefined) {
    group = { actor, collection, values: unique, removed: new Set(), added: new Map() }
    groups.set(key, group)
  }
  return group
}

function byCollection(groups: Iterable<Group>): Map<CollectionSchema, Group[]> {
  const sorted = new Map<CollectionSchema, Group[]>()
  for (const group of groups) {
    const list = sorted.get(group.collection)
    if (list === undefined) sorted.set(group.collection, [group])
    else list.push(group)
  }
  return sorted
}
