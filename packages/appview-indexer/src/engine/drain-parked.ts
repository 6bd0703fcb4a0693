import { REPO_LIVE, REPO_QUEUED, REPO_SYNCHRONIZED } from '../stores/transaction.ts'
import type { ActorState, IndexTransaction } from '../stores/transaction.ts'
import { applyEvents, isIdle } from './apply-events.ts'
import type { EngineContext } from './apply-events.ts'
import { decodeParked } from './parked-event.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Applies what waited for an account, oldest first; what is older than its rev by now is ignored by the usual rule. Answers which collections changed. */
export function* drainParked(
  context: EngineContext,
  tx: IndexTransaction,
  actor: ActorState,
): Steps<ReadonlySet<string>> {
  if (actor.parked === 0 || !isIdle(actor)) return new Set()
  const overflowed = actor.parked === -1
  const events = (yield* ask(tx.parked(actor.id))).map(decodeParked)
  yield* ask(tx.unpark(actor.id))
  actor.parked = 0
  if (
    overflowed &&
    context.canFetch &&
    (actor.sync === REPO_SYNCHRONIZED || actor.sync === REPO_LIVE)
  ) {
    actor.sync = REPO_QUEUED
    actor.dueAt = 0
  }
  yield* ask(tx.putActors([actor]))
  if (events.length === 0) return new Set()
  const { touched } = yield* applyEvents(context, tx, events)
  return touched
}
