import type { IndexTransaction } from '../stores/transaction.ts'
import { applyChanges } from './apply-changes.ts'
import type { EngineContext } from './apply-events.ts'
import { queueShortened } from './retain.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Removes rows whose time is over, at most `limit`; answers whether more may be there, and of which collection they were. */
export function* expireStep(
  context: EngineContext,
  tx: IndexTransaction,
  limit: number,
): Steps<{ readonly more: boolean; readonly touched: ReadonlySet<string> }> {
  for (const collection of context.schema.collections) {
    if (collection.maxAgeMs === undefined) continue
    const rows = yield* ask(tx.expired(collection, context.now - collection.maxAgeMs, limit))
    if (rows.length === 0) continue
    const actors = yield* ask(tx.actorsById([...new Set(rows.map(({ repo }) => repo))]))
    const byId = new Map(actors.map((actor) => [actor.id, actor]))
    const changes = rows.flatMap(({ repo, rkey }) => {
      const actor = byId.get(repo)
      return actor === undefined ? [] : [{ actor, collection, rkey, put: undefined }]
    })
    const { touched, shortened } = yield* applyChanges(context, tx, changes)
    if (context.canFetch) yield* ask(tx.putActors(queueShortened(shortened)))
    return { more: true, touched }
  }
  return { more: false, touched: new Set() }
}
