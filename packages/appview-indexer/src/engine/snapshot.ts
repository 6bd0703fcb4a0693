import { SnapshotRejectedError } from '../errors.ts'
import type { RepoSnapshot, SnapshotRecord } from '../event.ts'
import type { CollectionSchema } from '../schema.ts'
import { REPO_FETCHING, REPO_SYNCHRONIZED, SWEEP_PURGE } from '../stores/transaction.ts'
import type { ActorState, IndexTransaction } from '../stores/transaction.ts'
import { applyChanges } from './apply-changes.ts'
import type { ApplyOutcome } from './apply-changes.ts'
import type { EngineContext } from './apply-events.ts'
import { drainParked } from './drain-parked.ts'
import { equalBytes, storedCid } from './record-change.ts'
import type { RecordChange } from './record-change.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

const PAGE = 5_000

/** What is indexed of a repo when its snapshot starts: `collection\nrkey` to stored CID. Frozen until it ends. */
export type KnownRecords = Map<string, Uint8Array>

/** Starts a snapshot: events of the repo are parked from here on. @throws {SnapshotRejectedError} */
export function* beginSnapshot(
  context: EngineContext,
  tx: IndexTransaction,
  did: string,
  rev: string | undefined,
): Steps<KnownRecords> {
  const [actor] = yield* ask(tx.actors([did], true))
  const refusal = refuseSnapshot(actor, did, rev)
  if (actor === undefined || refusal !== undefined) throw refusal
  actor.sync = REPO_FETCHING
  // All of it is judged again.
  actor.deadDropped = 0
  yield* ask(tx.putActors([actor]))
  const known: KnownRecords = new Map()
  for (const collection of context.schema.collections) {
    let after = ''
    for (;;) {
      const page = yield* ask(tx.repoKeys(collection, actor.id, after, PAGE))
      for (const { rkey, cid } of page) known.set(`${collection.nsid}\n${rkey}`, cid)
      const last = page.at(-1)
      if (page.length < PAGE || last === undefined) break
      after = last.rkey
    }
    const space = (yield* ask(tx.names('space', [collection.space])))[0] ?? 0
    for (const { rkey, cid } of yield* ask(tx.deadKeys(actor.id, space)))
      known.set(`${collection.nsid}\n${rkey}`, cid)
  }
  return known
}

/** Why a snapshot of an account is not to be applied; undefined when it is. */
export function refuseSnapshot(
  actor: ActorState | undefined,
  did: string,
  rev: string | undefined,
): SnapshotRejectedError | undefined {
  if (actor === undefined) return new SnapshotRejectedError(did, 'account could not be created')
  if (rev !== undefined && actor.rev !== undefined && rev < actor.rev)
    return new SnapshotRejectedError(did, `rev ${rev} is older than ${actor.rev}`)
  if (actor.sweep === SWEEP_PURGE || (!actor.active && actor.status === 'deleted'))
    return new SnapshotRejectedError(did, 'account is deleted')
  return undefined
}

/** Whether the snapshot's record is indexed as it is; forgets it, so that what stays in `known` is gone from the repo. */
export function isKnown(
  known: KnownRecords,
  collection: CollectionSchema,
  record: SnapshotRecord,
): boolean {
  const key = `${record.collection}\n${record.rkey}`
  const cid = known.get(key)
  if (cid === undefined) return false
  known.delete(key)
  return equalBytes(cid, record.cid) || equalBytes(cid, storedCid(collection, record.cid))
}

/** Puts a piece of the snapshot. */
export function* applySnapshotPart(
  context: EngineContext,
  tx: IndexTransaction,
  did: string,
  records: readonly (SnapshotRecord | { readonly collection: string; readonly rkey: string })[],
  fresh: boolean,
): Steps<ApplyOutcome> {
  const actor = yield* fetchingActor(tx, did)
  const changes: RecordChange[] = []
  for (const record of records) {
    const collection = context.schema.byNsid.get(record.collection)
    if (collection === undefined) continue
    const put = 'record' in record ? { cid: record.cid, bytes: record.record } : undefined
    changes.push({ actor, collection, rkey: record.rkey, put })
  }
  return yield* applyChanges(context, tx, changes, { fresh })
}

/** Ends a snapshot: the repo is at its rev, and what was parked meanwhile follows. */
export function* endSnapshot(
  context: EngineContext,
  tx: IndexTransaction,
  snapshot: Pick<RepoSnapshot, 'did' | 'rev' | 'data'>,
): Steps<ReadonlySet<string>> {
  const actor = yield* fetchingActor(tx, snapshot.did)
  finishSnapshot(context, actor, snapshot)
  yield* ask(tx.putActors([actor]))
  return yield* drainParked(context, tx, actor)
}

/** The account is at the rev of its snapshot. */
export function finishSnapshot(
  context: EngineContext,
  actor: ActorState,
  { rev, data }: Pick<RepoSnapshot, 'rev' | 'data'>,
): void {
  if (actor.rev === undefined && context.canResolve) actor.handleDue = context.now
  actor.rev = rev
  actor.data = data
  actor.sync = REPO_SYNCHRONIZED
  actor.attempts = 0
  actor.dueAt = 0
}

/** Gives up on a snapshot for now: what was parked is applied as live events are, and the repo is tried again at `dueAt`. */
export function* abandonSnapshot(
  context: EngineContext,
  tx: IndexTransaction,
  did: string,
  sync: number,
  dueAt: number,
  { isAttempt = true }: { readonly isAttempt?: boolean } = {},
): Steps<ReadonlySet<string>> {
  const [actor] = yield* ask(tx.actors([did], false))
  if (actor === undefined || actor.sync !== REPO_FETCHING) return new Set()
  actor.sync = sync
  if (isAttempt) actor.attempts++
  actor.dueAt = dueAt
  yield* ask(tx.putActors([actor]))
  return yield* drainParked(context, tx, actor)
}

function* fetchingActor(tx: IndexTransaction, did: string): Steps<ActorState> {
  const [actor] = yield* ask(tx.actors([did], false))
  if (actor?.sync !== REPO_FETCHING || actor.sweep === SWEEP_PURGE)
    throw new SnapshotRejectedError(did, 'the account changed while it was applied')
  return actor
}
