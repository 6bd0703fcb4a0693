import type { SnapshotRejectedError } from '../errors.ts'
import type { RepoSnapshot, SnapshotRecord } from '../event.ts'
import { together } from '../stores/maybe-promise.ts'
import type { ActorState, IndexTransaction } from '../stores/transaction.ts'
import { applyChanges } from './apply-changes.ts'
import type { ApplyOutcome, RecordFailure } from './apply-changes.ts'
import type { EngineContext } from './apply-events.ts'
import { drainParked } from './drain-parked.ts'
import { ChangeCollector } from './record-change.ts'
import { finishSnapshot, isKnown, refuseSnapshot } from './snapshot.ts'
import type { KnownRecords } from './snapshot.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Records a repo may have, and may have had, to be applied as a whole. */
export const SMALL_REPO_RECORDS = 2_000

/** A repo at hand with all its records of declared collections, at most {@link SMALL_REPO_RECORDS}. */
export interface SmallRepo extends Pick<RepoSnapshot, 'did' | 'rev' | 'data'> {
  readonly records: readonly SnapshotRecord[]
}

/** What became of a small repo. */
export interface SmallRepoOutcome {
  /** Whether so much of it is indexed that it has to be applied in parts; then nothing was done. */
  readonly tooLarge: boolean
  readonly records: number
  readonly failures: readonly RecordFailure[]
  readonly touched: ReadonlySet<string>
  readonly gatesDue: boolean
}

/** Begins, applies and ends snapshots of several repos in one transaction: they cost what a batch of events costs. */
export function* applySmallRepos(
  context: EngineContext,
  tx: IndexTransaction,
  repos: readonly SmallRepo[],
): Steps<(SmallRepoOutcome | SnapshotRejectedError)[]> {
  const dids = repos.map(({ did }) => did)
  const actors = yield* ask(tx.actors(dids, true))
  const outcomes: (SmallRepoOutcome | SnapshotRejectedError | undefined)[] = repos.map((repo, at) =>
    refuseSnapshot(actors[at], repo.did, repo.rev),
  )
  const taken = repos.flatMap((repo, at) => {
    const actor = actors[at]
    return actor === undefined || outcomes[at] !== undefined ? [] : [{ repo, actor, at }]
  })
  const known = yield* readKnown(context, tx, taken)
  const changes = new ChangeCollector()
  // Where nothing is stored yet, nothing has to be looked for.
  const fresh = known.every((stored) => stored?.size === 0)
  for (const [index, { repo, actor, at }] of taken.entries()) {
    const stored = known[index]
    if (stored === undefined) outcomes[at] = TOO_LARGE
    else collect(context, actor, repo, stored, changes)
  }
  const done = yield* applyChanges(context, tx, changes.values(), { fresh })
  const ended = taken.filter(({ at }) => outcomes[at] === undefined)
  for (const { actor, repo } of ended) finishSnapshot(context, actor, repo)
  yield* ask(tx.putActors(ended.map(({ actor }) => actor)))
  const touched = new Set(done.touched)
  for (const { actor } of ended)
    for (const name of yield* drainParked(context, tx, actor)) touched.add(name)
  for (const { actor, at } of ended) outcomes[at] = outcomeOf(actor, done, touched)
  // Every repo was refused, too large, or ended.
  return outcomes.map((outcome) => outcome ?? TOO_LARGE)
}

const TOO_LARGE: SmallRepoOutcome = {
  tooLarge: true,
  records: 0,
  failures: [],
  touched: new Set(),
  gatesDue: false,
}

function collect(
  { schema }: EngineContext,
  actor: ActorState,
  repo: SmallRepo,
  known: KnownRecords,
  changes: ChangeCollector,
): void {
  // All of it is judged again.
  actor.deadDropped = 0
  for (const record of repo.records) {
    const collection = schema.byNsid.get(record.collection)
    if (collection === undefined || isKnown(known, collection, record)) continue
    const put = { cid: record.cid, bytes: record.record }
    changes.set({ actor, collection, rkey: record.rkey, put })
  }
  for (const key of known.keys()) {
    const [nsid = '', rkey = ''] = key.split('\n')
    const collection = schema.byNsid.get(nsid)
    if (collection !== undefined) changes.set({ actor, collection, rkey, put: undefined })
  }
}

/** What is indexed of each repo, asked for all at once; undefined for one of which too much is. */
function* readKnown(
  { schema }: EngineContext,
  tx: IndexTransaction,
  taken: readonly { readonly actor: ActorState }[],
): Steps<(KnownRecords | undefined)[]> {
  const { collections } = schema
  const nsids = collections.map(({ nsid }) => nsid)
  const spaces = yield* ask(
    tx.names(
      'space',
      collections.map(({ space }) => space),
    ),
  )
  const limit = SMALL_REPO_RECORDS + 1
  const rows = yield* ask(
    together(
      taken.flatMap(({ actor }) =>
        collections.map((collection) => tx.repoKeys(collection, actor.id, '', limit)),
      ),
    ),
  )
  const dead = yield* ask(
    together(taken.flatMap(({ actor }) => spaces.map((space) => tx.deadKeys(actor.id, space)))),
  )
  return taken.map((_, at) => {
    const known: KnownRecords = new Map()
    for (const [index, nsid] of nsids.entries())
      for (const found of [rows, dead])
        for (const { rkey, cid } of found[at * nsids.length + index] ?? [])
          known.set(`${nsid}\n${rkey}`, cid)
    return known.size > SMALL_REPO_RECORDS ? undefined : known
  })
}

function outcomeOf(
  actor: ActorState,
  { recordsOf, failures, gatesDue }: ApplyOutcome,
  touched: ReadonlySet<string>,
): SmallRepoOutcome {
  return {
    tooLarge: false,
    records: recordsOf.get(actor) ?? 0,
    failures: failures.filter(({ did }) => did === actor.did),
    touched,
    gatesDue,
  }
}
