import { ask } from './engine/steps.ts'
import type { BackfillOptions } from './indexer.ts'
import type { SerialWriter } from './serial-writer.ts'
import { isOfShard } from './shard.ts'
import type { Shard } from './shard.ts'
import { REPO_FETCHING, REPO_QUEUED, REPO_SYNCHRONIZED } from './stores/transaction.ts'

/** Repos queued in one transaction. */
const QUEUE_PART = 1_000

/** Queues repos durably, in parts; those listed with the rev that is indexed already are left out. */
export async function queueRepos(
  writer: SerialWriter,
  shard: Shard,
  repos: BackfillOptions['repos'],
  signal: AbortSignal,
): Promise<void> {
  let part: { readonly did: string; readonly rev?: string }[] = []
  const queue = async (): Promise<void> => {
    const listed = new Map(part.map(({ did, rev }) => [did, rev]))
    const dids = [...listed.keys()]
    part = []
    await writer.transact(function* (tx, { now }) {
      const actors = yield* ask(tx.actors(dids, true))
      const queued = actors.flatMap((actor) => (actor === undefined ? [] : [actor]))
      for (const actor of queued) {
        if (actor.sync === REPO_FETCHING || (!actor.active && actor.status === 'deleted')) continue
        const rev = listed.get(actor.did)
        const upToDate = rev !== undefined && actor.rev !== undefined && rev <= actor.rev
        if (upToDate && actor.sync === REPO_SYNCHRONIZED) continue
        actor.sync = REPO_QUEUED
        actor.dueAt = now
      }
      yield* ask(tx.putActors(queued))
    })
  }
  for await (const did of repos) {
    signal.throwIfAborted()
    const repo = typeof did === 'string' ? { did } : did
    if (!isOfShard(repo.did, shard)) continue
    part.push(repo)
    if (part.length >= QUEUE_PART) await queue()
  }
  if (part.length > 0) await queue()
  writer.announceWork()
}
