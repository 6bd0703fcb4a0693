import type {
  IndexAccountEvent,
  IndexCommitEvent,
  IndexEvent,
  IndexIdentityEvent,
  IndexSyncEvent,
} from '../event.ts'
import { isPlausibleRev } from '../rev.ts'
import { storableText } from '../storable-text.ts'
import type { Schema } from '../schema.ts'
import {
  REPO_FETCHING,
  REPO_LIVE,
  REPO_QUEUED,
  REPO_SYNCHRONIZED,
  SWEEP_NONE,
  SWEEP_PURGE,
  SWEEP_VISIBILITY,
} from '../stores/transaction.ts'
import { together } from '../stores/maybe-promise.ts'
import type { ActorState, IndexTransaction } from '../stores/transaction.ts'
import { applyChanges } from './apply-changes.ts'
import type { RecordFailure } from './apply-changes.ts'
import type { DeadLetterLimits } from './dead-letter-limits.ts'
import { JudgedAhead, storedKey } from './judged-ahead.ts'
import { encodeParked } from './parked-event.ts'
import { ChangeCollector, equalBytes } from './record-change.ts'
import { queueShortened } from './retain.ts'
import { ask } from './steps.ts'
import type { Steps } from './steps.ts'

/** Most events parked for one repo while it is fetched; beyond, they are dropped and the repo is fetched again. */
export const MAX_PARKED_EVENTS = 10_000

/** What the engine needs to know beside the events. */
export interface EngineContext {
  readonly schema: Schema
  readonly now: number
  /** Whether gaps can be repaired by fetching repos. */
  readonly canFetch: boolean
  /** Whether handles are looked up. */
  readonly canResolve: boolean
  readonly deadLetterLimits: DeadLetterLimits
  /** Whether accounts without anything to index are remembered too. */
  readonly allAccounts: boolean
  /** Records that were judged while they waited. */
  readonly ahead?: JudgedAhead | undefined
}

/** What a batch did. */
export interface BatchOutcome {
  readonly stale: number
  readonly rejected: readonly { readonly did: string; readonly rev: string }[]
  readonly records: number
  readonly failures: readonly RecordFailure[]
  readonly desynchronized: readonly { readonly did: string; readonly rev: string }[]
  readonly touched: ReadonlySet<string>
  /** Sweeps or fetches are waiting. */
  readonly workWaiting: boolean
}

/** Applies events in order, as one unit, with the cursor of their source. */
export function* applyEvents(
  context: EngineContext,
  tx: IndexTransaction,
  events: readonly IndexEvent[],
  cursor?: { readonly source: string; readonly seq: number },
): Steps<BatchOutcome> {
  const batch = new EventBatch(context, tx)
  yield* batch.loadActors(events)
  for (const event of events) yield* batch.apply(event)
  // First of all: a server stores the accounts while the records are decoded here.
  yield* ask(tx.putActors([...batch.dirty]))
  if (cursor !== undefined) yield* ask(tx.setCursor(cursor.source, cursor.seq, context.now))
  const outcome = yield* applyChanges(context, tx, batch.changes.values())
  const queued = context.canFetch ? queueShortened(outcome.shortened) : []
  if (queued.length > 0) {
    batch.workWaiting = true
    yield* ask(tx.putActors(queued))
  }
  return {
    stale: batch.stale,
    rejected: batch.rejected,
    records: outcome.records,
    failures: outcome.failures,
    desynchronized: batch.desynchronized,
    touched: outcome.touched,
    workWaiting: batch.workWaiting || outcome.gatesDue,
  }
}

class EventBatch {
  readonly changes = new ChangeCollector()
  readonly dirty = new Set<ActorState>()
  readonly rejected: { did: string; rev: string }[] = []
  readonly desynchronized: { did: string; rev: string }[] = []
  stale = 0
  workWaiting = false
  readonly #context: EngineContext
  readonly #tx: IndexTransaction
  readonly #actors = new Map<string, ActorState | undefined>()
  readonly #ahead: JudgedAhead

  constructor(context: EngineContext, tx: IndexTransaction) {
    this.#context = context
    this.#tx = tx
    this.#ahead = context.ahead ?? new JudgedAhead(context.schema)
  }

  /** Unless all are wanted, accounts are remembered from the moment they have something to index, or something to hide. */
  *loadActors(events: readonly IndexEvent[]): Steps<void> {
    const create = new Set<string>()
    const find = new Set<string>()
    const { allAccounts, canFetch, schema } = this.#context
    for (const event of events) {
      const wanted =
        allAccounts ||
        (event.type === 'commit'
          ? event.ops.some((op) => schema.byNsid.has(op.collection))
          : (event.type === 'account' && !event.active) ||
            // What it holds can only be told by fetching it.
            (event.type === 'sync' && canFetch) ||
            (event.type === 'identity' && typeof event.handle === 'string'))
      ;(wanted ? create : find).add(event.did)
    }
    for (const did of create) find.delete(did)
    const wanted = [
      [[...create], true],
      [[...find], false],
    ] as const
    const asked = together(
      wanted.map(([dids, make]) => (dids.length === 0 ? [] : this.#tx.actors(dids, make))),
    )
    if (asked instanceof Promise) this.#judgeAhead(events)
    const found = yield* ask(asked)
    for (const [at, [dids]] of wanted.entries())
      dids.forEach((did, index) => this.#actors.set(did, found[at]?.[index]))
  }

  /** Decodes what the events bring: while a server looks for their accounts. */
  #judgeAhead(events: readonly IndexEvent[]): void {
    for (const event of events)
      if (event.type === 'commit') this.#ahead.judge(event, this.#context.now)
  }

  *apply(event: IndexEvent): Steps<void> {
    const actor = this.#actors.get(event.did)
    if (actor === undefined) return
    switch (event.type) {
      case 'commit':
        return yield* this.#commit(actor, event)
      case 'sync':
        return yield* this.#sync(actor, event)
      case 'identity':
        return yield* this.#identity(actor, event)
      case 'account':
        return this.#account(actor, event)
    }
  }

  *#commit(actor: ActorState, event: IndexCommitEvent): Steps<void> {
    // Operations of one rev that come one by one: repeating one changes nothing.
    const isNew = event.partial === true ? isAtLeast : isAfter
    if (actor.rev !== undefined && !isNew(event.rev, actor.rev)) {
      this.stale++
      return
    }
    if (!actor.active && actor.status === 'deleted') {
      this.stale++
      return
    }
    if (!isPlausibleRev(event.rev, this.#context.now)) {
      this.rejected.push({ did: event.did, rev: event.rev })
      return
    }
    if (yield* this.#parkWhileBusy(actor, event)) return
    this.#checkChain(actor, event)
    // Operations of one rev that come one by one prove no tree, and take none away.
    actor.data = event.data ?? (actor.rev === event.rev ? actor.data : undefined)
    actor.rev = event.rev
    this.dirty.add(actor)
    for (const op of event.ops) {
      const { action, cid, record } = op
      const collection = this.#context.schema.byNsid.get(op.collection)
      if (collection === undefined) continue
      const put =
        action === 'delete' || cid === undefined || record === undefined
          ? undefined
          : { cid, bytes: record }
      const judged = put === undefined ? undefined : this.#ahead.take(op)
      this.changes.set({ actor, collection, rkey: storedKey(op), put, judged })
    }
  }

  /** A commit that does not follow what is indexed means something was missed: the repo is fetched again. */
  #checkChain(actor: ActorState, event: IndexCommitEvent): void {
    if (actor.rev === undefined) {
      if (this.#context.canResolve) this.#lookUpHandle(actor)
      if (event.since === null && actor.sync === REPO_LIVE) actor.sync = REPO_SYNCHRONIZED
      else if (actor.sync === REPO_LIVE) this.#queue(actor)
      return
    }
    if (event.gap !== true && (event.since === undefined || event.since === actor.rev)) return
    this.desynchronized.push({ did: event.did, rev: event.rev })
    this.#queue(actor)
  }

  *#sync(actor: ActorState, event: IndexSyncEvent): Steps<void> {
    if (actor.rev !== undefined && event.rev <= actor.rev && !isOtherTree(actor, event)) {
      this.stale++
      return
    }
    if (yield* this.#parkWhileBusy(actor, event)) return
    this.desynchronized.push({ did: event.did, rev: event.rev })
    this.#queue(actor)
  }

  *#identity(actor: ActorState, event: IndexIdentityEvent): Steps<void> {
    if (event.handle !== undefined) {
      yield* ask(this.#tx.setHandle(actor, event.handle ?? undefined))
      return
    }
    if (this.#context.canResolve) this.#lookUpHandle(actor)
  }

  #lookUpHandle(actor: ActorState): void {
    actor.handleDue = this.#context.now
    this.workWaiting = true
    this.dirty.add(actor)
  }

  #account(actor: ActorState, event: IndexAccountEvent): void {
    const status = event.status === undefined ? undefined : storableText(event.status)
    if (actor.active === event.active && actor.status === status) return
    const returns = event.active && !actor.active
    const toggled = actor.active !== event.active
    actor.active = event.active
    actor.status = status
    this.dirty.add(actor)
    if (!event.active && event.status === 'deleted') {
      if (actor.sync === REPO_QUEUED) actor.sync = REPO_LIVE
      this.#sweep(actor, SWEEP_PURGE)
    } else if (toggled && actor.sweep !== SWEEP_PURGE) this.#sweep(actor, SWEEP_VISIBILITY)
    // What the account did while it was away may not have been announced.
    if (returns) this.#queue(actor)
  }

  #sweep(actor: ActorState, sweep: number): void {
    actor.sweep = sweep
    actor.sweepAt = ''
    this.workWaiting = true
  }

  #queue(actor: ActorState): void {
    if (!this.#context.canFetch || actor.sync === REPO_QUEUED || actor.sync === REPO_FETCHING)
      return
    actor.sync = REPO_QUEUED
    actor.dueAt = 0
    actor.attempts = 0
    this.workWaiting = true
    this.dirty.add(actor)
  }

  /** While a snapshot is being applied or an account is being purged, its events wait in the database. */
  *#parkWhileBusy(actor: ActorState, event: IndexCommitEvent | IndexSyncEvent): Steps<boolean> {
    if (actor.sync !== REPO_FETCHING && actor.sweep !== SWEEP_PURGE) return false
    this.dirty.add(actor)
    if (actor.parked === -1) return true
    if (actor.parked >= MAX_PARKED_EVENTS) {
      actor.parked = -1
      yield* ask(this.#tx.unpark(actor.id))
      return true
    }
    actor.parked++
    yield* ask(this.#tx.park(actor.id, encodeParked(event)))
    return true
  }
}

const isAfter = (rev: string, before: string): boolean => rev > before
const isAtLeast = (rev: string, before: string): boolean => rev >= before

/** Whether a sync names another tree at the very rev that is indexed, or one that nobody proved to be the same. */
function isOtherTree(actor: ActorState, { rev, data }: IndexSyncEvent): boolean {
  if (data === undefined || rev !== actor.rev) return false
  return actor.data === undefined || !equalBytes(data, actor.data)
}

/** Whether nothing keeps an account's events from being applied. */
export function isIdle(actor: ActorState): boolean {
  return actor.sync !== REPO_FETCHING && actor.sweep === SWEEP_NONE
}
