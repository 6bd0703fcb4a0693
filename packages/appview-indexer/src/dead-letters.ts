import { setImmediate } from 'node:timers/promises'

import { ASIDE } from './shadow.ts'
import { applyChanges } from './engine/apply-changes.ts'
import type { RecordChange } from './engine/record-change.ts'
import type { EngineContext } from './engine/apply-events.ts'
import { queueFetches } from './engine/rebuild.ts'
import { ask } from './engine/steps.ts'
import type { Steps } from './engine/steps.ts'
import type { DeadLetter, RetryResult } from './indexer.ts'
import { checkLimit } from './query/compiled-select.ts'
import type { SerialWriter } from './serial-writer.ts'
import type { IndexStore } from './stores/port.ts'
import type { IndexTransaction } from './stores/transaction.ts'
import { formatRecordUri } from './target.ts'

/** Dead letters tried again in one transaction. */
const RETRY_PART = 500
const DEFAULT_LIMIT = 100

/** Failed records in the order of their at-uris, from `after` on. */
export async function listDeadLetters(
  store: IndexStore,
  options: { readonly limit?: number; readonly after?: string },
): Promise<readonly DeadLetter[]> {
  const { limit = DEFAULT_LIMIT, after = '' } = options
  checkLimit(limit)
  const rows = await store.query(
    `SELECT d.repo, a.did, n.name, d.rkey, d.reason, d.bytes, d.at FROM ix_dead d
     JOIN ix_actor a ON a.id = d.repo JOIN ix_space n ON n.id = d.space AND n.name NOT LIKE '%${ASIDE}%'
     WHERE a.did || '/' || n.name || '/' || d.rkey > ? ORDER BY a.did || '/' || n.name || '/' || d.rkey LIMIT ?`,
    [after.replace(/^at:\/\//, ''), limit],
  )
  return rows.map((row) => ({
    uri: formatRecordUri(String(row['did']), String(row['name']), String(row['rkey'])),
    reason: String(row['reason']),
    // The column is a BLOB.
    bytes: row['bytes'] as Uint8Array,
    at: Number(row['at']),
  }))
}

/** Tries every dead letter again, of one collection or of all, in bounded transactions; repos of dropped ones are queued. */
export async function retryDeadLetters(
  store: IndexStore,
  writer: SerialWriter,
  nsid?: string,
): Promise<RetryResult> {
  const result = { indexed: 0, failed: 0, queued: 0 }
  let after = { repo: 0, space: 0, rkey: '' }
  for (;;) {
    const rows = await store.query(
      `SELECT d.repo, d.space, n.name, d.rkey, d.cid, d.bytes FROM ix_dead d JOIN ix_space n ON n.id = d.space
       WHERE (d.repo, d.space, d.rkey) > (?, ?, ?)${nsid === undefined ? '' : ' AND n.name = ?'}
       ORDER BY d.repo, d.space, d.rkey LIMIT ${RETRY_PART}`,
      [after.repo, after.space, after.rkey, ...(nsid === undefined ? [] : [nsid])],
    )
    const last = rows.at(-1)
    if (last === undefined) break
    after = { repo: Number(last['repo']), space: Number(last['space']), rkey: String(last['rkey']) }
    const outcome = await writer.transact(function* (tx, context) {
      const repos = [...new Set(rows.map((row) => Number(row['repo'])))]
      const actors = new Map((yield* ask(tx.actorsById(repos))).map((actor) => [actor.id, actor]))
      const dead = new Map<string, ReadonlySet<string>>()
      const changes: RecordChange[] = []
      for (const row of rows) {
        const collection = context.schema.byNsid.get(String(row['name']))
        const actor = actors.get(Number(row['repo']))
        const rkey = String(row['rkey'])
        if (collection === undefined || actor === undefined) continue
        const space = Number(row['space'])
        let left = dead.get(`${actor.id} ${space}`)
        if (left === undefined) {
          left = new Set((yield* ask(tx.deadKeys(actor.id, space))).map((key) => key.rkey))
          dead.set(`${actor.id} ${space}`, left)
        }
        // A batch in between may have replaced or removed the record.
        if (!left.has(rkey)) continue
        // BLOB columns.
        const put = { cid: row['cid'] as Uint8Array, bytes: row['bytes'] as Uint8Array }
        changes.push({ actor, collection, rkey, put })
      }
      const { schema, now } = context
      const applied = yield* applyChanges({ schema, now }, tx, changes)
      return { ...applied, tried: changes.length }
    })
    result.failed += outcome.failures.length
    result.indexed += outcome.tried - outcome.failures.length
    writer.announce(outcome.touched)
    await setImmediate()
  }
  for (;;) {
    const queued = await writer.transact(queueDropped)
    if (queued === 0) return result
    result.queued += queued
    writer.announceWork()
    await setImmediate()
  }
}

/** What was dropped is still in the repos. */
function* queueDropped(tx: IndexTransaction, { canFetch, now }: EngineContext): Steps<number> {
  if (!canFetch) return 0
  const actors = yield* ask(tx.dueActors('dropped', now, RETRY_PART))
  yield* queueFetches(tx, new Set(actors))
  return actors.length
}
