import { backoffMs } from './backoff.ts'
import type { Delay } from './backoff.ts'
import { abandonSnapshot } from './engine/snapshot.ts'
import { ask } from './engine/steps.ts'
import { StoreFailureError } from './errors.ts'
import type { IndexIssue } from './indexer.ts'
import type { SerialWriter } from './serial-writer.ts'
import { REPO_FETCHING, REPO_QUEUED } from './stores/transaction.ts'

/** Pauses while the database refuses to let go of a claimed repo, and how often that is tried before its lease has to run out. */
const FIRST_RELEASE_MS = 1_000
const MAX_RELEASE_MS = 30_000
const MAX_RELEASES = 10
/** How long a claimed repo is left alone before another worker may claim it. */
const LEASE_MS = 600_000

/** What claiming needs. */
export interface ClaimOptions {
  readonly writer: SerialWriter
  readonly signal: AbortSignal
  readonly onIssue: (issue: IndexIssue) => void
  readonly delay: Delay
}

/** A repo whose turn it is. */
interface Claimed {
  readonly did: string
  readonly attempts: number
}

/** Claims queued repos that are due: nobody else fetches them, and their events are parked. */
export async function claimRepos(
  options: ClaimOptions,
  limit: number,
): Promise<readonly Claimed[]> {
  let claimed: readonly Claimed[] = []
  try {
    await options.writer.transact(function* (tx, { now }) {
      const actors = yield* ask(tx.dueActors('fetch', now, limit))
      for (const actor of actors) {
        actor.sync = REPO_FETCHING
        actor.dueAt = now + LEASE_MS
      }
      claimed = actors.map(({ did, attempts }) => ({ did, attempts }))
      if (actors.length > 0) yield* ask(tx.putActors(actors))
    })
    return claimed
  } catch (error) {
    // A database that was lost at the end may have stored it all the same.
    for (const { did } of claimed) await letGo(options, did, { isAttempt: false })
    throw error
  }
}

/** Queues a claimed repo again. While the database refuses, that is tried for a while; then its lease has to run out. */
export async function letGo(
  { writer, signal, onIssue, delay }: ClaimOptions,
  did: string,
  { isAttempt, retryMs = 0 }: { readonly isAttempt: boolean; readonly retryMs?: number },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const touched = await writer.transact((tx, engine) => {
        const dueAt = signal.aborted ? engine.now : engine.now + retryMs
        return abandonSnapshot(engine, tx, did, REPO_QUEUED, dueAt, { isAttempt })
      })
      return writer.announce(touched)
    } catch (error) {
      onIssue({ kind: 'store-failed', error, attempt })
      const mayWork = error instanceof StoreFailureError && error.retryable
      if (!mayWork || attempt === MAX_RELEASES || signal.aborted) return
      const pauseMs = backoffMs(attempt, FIRST_RELEASE_MS, MAX_RELEASE_MS)
      await delay(pauseMs, signal).catch(() => undefined)
    }
  }
}
