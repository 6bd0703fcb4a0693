import type { ActorState, IndexTransaction } from '../stores/transaction.ts'
import type { PendingRow } from './pending-row.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** How many refused records are kept, with their bytes, of what comes from the network. */
export interface DeadLetterLimits {
  /** Of one account. */
  readonly perAccount: number
  /** Record bytes of one account. */
  readonly bytesPerAccount: number
  /** Of all accounts. */
  readonly total: number
  /** Record bytes of all accounts. */
  readonly totalBytes: number
}

/** Enough to see what is wrong and to try again; a flood of invalid records costs no more disk than this. */
export const DEAD_LETTER_LIMITS: DeadLetterLimits = {
  perAccount: 1_000,
  bytesPerAccount: 16 * 1024 * 1024,
  total: 100_000,
  totalBytes: 1024 * 1024 * 1024,
}

/**
 * Which refused records of a batch are not kept because there are too many already, of their account or of all. Their
 * accounts remember how many, so that the repo is fetched when dead letters are tried again.
 */
export function* dropDeadLetters(
  tx: IndexTransaction,
  limits: DeadLetterLimits,
  pending: readonly PendingRow[],
  bytesOf: (index: number) => number,
): Steps<ReadonlySet<PendingRow>> {
  const dropped = new Set<PendingRow>()
  const repos = new Map<ActorState, number>()
  for (const { actor, failure } of pending)
    if (failure !== undefined && !repos.has(actor)) repos.set(actor, repos.size)
  if (repos.size === 0) return dropped
  const { all, accounts } = yield* ask(tx.countDead([...repos.keys()].map(({ id }) => id)))
  const total = { ...all }
  const tallies = accounts.map((tally) => ({ ...tally }))
  pending.forEach((item, index) => {
    const own = tallies[repos.get(item.actor) ?? -1]
    if (item.failure === undefined || own === undefined) return
    const bytes = bytesOf(index)
    if (
      own.letters >= limits.perAccount ||
      own.bytes + bytes > limits.bytesPerAccount ||
      total.letters >= limits.total ||
      total.bytes + bytes > limits.totalBytes
    ) {
      item.actor.deadDropped++
      dropped.add(item)
      return
    }
    for (const tally of [own, total]) {
      tally.letters++
      tally.bytes += bytes
    }
  })
  if (dropped.size > 0)
    yield* ask(tx.putActors([...new Set([...dropped].map((item) => item.actor))]))
  return dropped
}
