import { REPO_FETCHING, REPO_QUEUED } from '../stores/transaction.ts'
import type { ActorState, IndexTransaction } from '../stores/transaction.ts'
import type { PendingRow } from './pending-row.ts'
import type { RecordChange } from './record-change.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/**
 * Of an account only the records with the highest keys stay: lower ones among the new are dropped, stored ones that are
 * pushed out are answered as deletes. The highest of all are the highest of those kept before and the new ones, so order
 * does not matter; but where one goes from a full account, those below the lowest that was kept are not known, and one of
 * them may have to come back from the repo, whatever new ones are lower still.
 */
export function* keepWithinLimits(
  tx: IndexTransaction,
  pending: readonly PendingRow[],
): Steps<{ readonly pushedOut: readonly RecordChange[]; readonly shortened: ActorState[] }> {
  const groups = new Map<string, PendingRow[]>()
  for (const item of pending) {
    if (item.collection.perRepo === undefined) continue
    const key = `${item.actor.id}/${item.collection.name}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  const pushedOut: RecordChange[] = []
  const shortened: ActorState[] = []
  for (const items of groups.values()) {
    const [first] = items
    const limit = first?.collection.perRepo
    if (first === undefined || limit === undefined) continue
    const { actor, collection } = first
    const stored = yield* ask(tx.repoKeys(collection, actor.id, '', limit))
    const lowest = stored[0]?.rkey ?? ''
    const keys = new Set(stored.map(({ rkey }) => rkey))
    for (const { rkey, draft } of items)
      if (draft === undefined) keys.delete(rkey)
      else keys.add(rkey)
    const sure = [...keys].filter((rkey) => rkey >= lowest).length
    if (stored.length >= limit && sure < limit) shortened.push(actor)
    const over = new Set([...keys].toSorted(byBytes).slice(0, Math.max(0, keys.size - limit)))
    for (const item of items)
      if (over.delete(item.rkey)) {
        item.draft = undefined
        item.effects = undefined
      }
    for (const rkey of over) pushedOut.push({ actor, collection, rkey, put: undefined })
  }
  return { pushedOut, shortened }
}

/** Has the repos of shortened accounts fetched; answers those that were not waiting for it already. */
export function queueShortened(shortened: readonly ActorState[]): readonly ActorState[] {
  const queued = shortened.filter(({ sync }) => sync !== REPO_QUEUED && sync !== REPO_FETCHING)
  for (const actor of queued) {
    actor.sync = REPO_QUEUED
    actor.dueAt = 0
    actor.attempts = 0
  }
  return queued
}

/** As the stores order record keys. */
function byBytes(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
