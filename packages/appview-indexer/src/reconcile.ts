import { applyEvents } from './engine/apply-events.ts'
import type { EngineContext } from './engine/apply-events.ts'
import { HostBusyError, SnapshotRejectedError } from './errors.ts'
import type { RepoFetcher } from './event.ts'
import type { IndexIssue, ReconcileResult } from './indexer.ts'
import { applyRepoSnapshot } from './repo-worker.ts'
import type { SnapshotOutcome } from './repo-worker.ts'
import type { SerialWriter } from './serial-writer.ts'
import type { IndexStore } from './stores/port.ts'
import { REPO_SYNCHRONIZED } from './stores/transaction.ts'

/** Options of {@link reconcileRepos}. */
export interface ReconcileWork {
  readonly repos: Iterable<string> | AsyncIterable<string>
  readonly store: IndexStore
  readonly writer: SerialWriter
  readonly schema: EngineContext['schema']
  readonly fetchRepo: RepoFetcher
  readonly signal: AbortSignal
  readonly onIssue: (issue: IndexIssue) => void
  readonly onSnapshot: (outcome: SnapshotOutcome) => void
}

/** Compares repos with the index one by one: it is a background check, not a race. */
export async function reconcileRepos(work: ReconcileWork): Promise<ReconcileResult> {
  const { repos, store, writer, fetchRepo, signal, onIssue } = work
  const result = {
    compared: 0,
    drifted: [] as { did: string; records: number }[],
    behind: [] as string[],
    failed: [] as string[],
  }
  for await (const did of repos) {
    signal.throwIfAborted()
    try {
      const found = await fetchRepo(did, { signal })
      if (found.kind === 'status') {
        const { active, status } = found
        await writer.transact((tx, context) =>
          applyEvents(context, tx, [{ type: 'account', seq: 0, did, active, status }]),
        )
        writer.startSweeping()
        result.compared++
        continue
      }
      if (found.kind === 'busy') throw new HostBusyError(found.host ?? '', found.retryAfterMs)
      const rows = await store.query('SELECT rev FROM ix_actor WHERE did = ?', [did])
      const rev = rows[0]?.['rev']
      const outcome = await applyRepoSnapshot(writer, work.schema, found.snapshot)
      work.onSnapshot(outcome)
      result.compared++
      if (rev !== found.snapshot.rev) result.behind.push(did)
      else if (outcome.records > 0) {
        result.drifted.push({ did, records: outcome.records })
        onIssue({ kind: 'drift', did, records: outcome.records })
      }
    } catch (error) {
      signal.throwIfAborted()
      // Live commits overtook the copy: then the index is ahead, which is fine.
      if (error instanceof SnapshotRejectedError) result.compared++
      else {
        result.failed.push(did)
        onIssue({ kind: 'repo-failed', did, error, attempt: 1 })
      }
    }
  }
  return result
}

/** DIDs of random synchronized repos, at most `count`, each once. */
export async function sampleRepos(
  store: IndexStore,
  count: number,
  random: () => number,
): Promise<string[]> {
  const [bounds] = await store.query('SELECT max(id) AS last FROM ix_actor', [])
  const last = Number(bounds?.['last'] ?? 0)
  const found = new Set<string>()
  // Ids of accounts that are only mentioned are many: a few tries each, then it is a small index anyway.
  for (let tries = 0; found.size < count && tries < count * 4; tries++) {
    const rows = await store.query(
      'SELECT did FROM ix_actor WHERE id >= ? AND sync = ? ORDER BY id LIMIT 1',
      [Math.floor(random() * last), REPO_SYNCHRONIZED],
    )
    if (rows[0] !== undefined) found.add(String(rows[0]['did']))
  }
  return [...found]
}
