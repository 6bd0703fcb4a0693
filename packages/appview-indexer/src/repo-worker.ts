import { setImmediate } from 'node:timers/promises'

import { backoffMs } from './backoff.ts'
import { claimRepos, letGo } from './claim-repos.ts'
import type { ClaimOptions } from './claim-repos.ts'
import {
  abandonSnapshot,
  applySnapshotPart,
  beginSnapshot,
  endSnapshot,
  isKnown,
} from './engine/snapshot.ts'
import { SMALL_REPO_RECORDS } from './engine/small-repos.ts'
import { applyEvents } from './engine/apply-events.ts'
import type { EngineContext } from './engine/apply-events.ts'
import type { RecordFailure } from './engine/apply-changes.ts'
import type { RepoFetcher, RepoSnapshot, SnapshotRecord } from './event.ts'
import type { RepoReport } from './indexer.ts'
import type { SerialWriter } from './serial-writer.ts'
import { REPO_LIVE, REPO_QUEUED } from './stores/transaction.ts'

/** Snapshot records in one transaction. */
const SNAPSHOT_PART = 2_000
/** Record bytes of a repo that is applied as a whole. */
const SMALL_REPO_BYTES = 4 * 1024 * 1024
/** First pause after a failed fetch, and the longest one. */
const FIRST_RETRY_MS = 60_000
const MAX_RETRY_MS = 3_600_000

/** What a snapshot brought. */
export interface SnapshotOutcome {
  readonly records: number
  readonly failures: readonly RecordFailure[]
}

/**
 * Applies one verified snapshot in bounded transactions; on failure the repo is left queued for later, never half-done for
 * good.
 */
export async function applyRepoSnapshot(
  writer: SerialWriter,
  schema: EngineContext['schema'],
  snapshot: RepoSnapshot,
  retryMs: number = FIRST_RETRY_MS,
): Promise<SnapshotOutcome> {
  const { did, rev } = snapshot
  const known = await writer.transact((tx, context) => beginSnapshot(context, tx, did, rev))
  const failures: RecordFailure[] = []
  let records = 0
  let fresh = known.size === 0
  let part: (SnapshotRecord | { collection: string; rkey: string })[] = []
  const flush = async (): Promise<void> => {
    if (part.length === 0) return
    const taken = part
    part = []
    const outcome = await writer.transact((tx, context) =>
      applySnapshotPart(context, tx, did, taken, fresh),
    )
    fresh = false
    records += outcome.records
    failures.push(...outcome.failures)
    writer.announce(outcome.touched)
    if (outcome.gatesDue) writer.startSweeping()
    await setImmediate()
  }
  try {
    for await (const record of snapshot.records) {
      const collection = schema.byNsid.get(record.collection)
      if (collection === undefined || isKnown(known, collection, record)) continue
      part.push(record)
      if (part.length >= SNAPSHOT_PART) await flush()
    }
    for (const key of known.keys()) {
      const [collection = '', rkey = ''] = key.split('\n')
      part.push({ collection, rkey })
      if (part.length >= SNAPSHOT_PART) await flush()
    }
    await flush()
    writer.announce(await writer.transact((tx, context) => endSnapshot(context, tx, snapshot)))
  } catch (error) {
    const touched = await writer.transact((tx, context) =>
      context.canFetch
        ? abandonSnapshot(context, tx, did, REPO_QUEUED, context.now + retryMs)
        : abandonSnapshot(context, tx, did, REPO_LIVE, 0),
    )
    writer.announce(touched)
    throw error
  }
  return { records, failures }
}

/** Applies the snapshot of a claimed repo, whose events are parked: a small one together with others that wait. */
async function applyClaimed(
  writer: SerialWriter,
  schema: EngineContext['schema'],
  snapshot: RepoSnapshot,
  retryMs: number,
): Promise<SnapshotOutcome> {
  const reader = declaredRecords(schema, snapshot)
  try {
    const { records, ended } = await readSome(reader)
    if (ended) {
      const outcome = await writer.smallRepos.apply({ ...snapshot, records })
      if (!outcome.tooLarge) {
        writer.announce(outcome.touched)
        if (outcome.gatesDue) writer.startSweeping()
        return outcome
      }
    }
    return await applyRepoSnapshot(
      writer,
      schema,
      { ...snapshot, records: chain(records, reader) },
      retryMs,
    )
  } finally {
    await reader.return()
  }
}

/** The records of declared collections. */
async function* declaredRecords(
  schema: EngineContext['schema'],
  snapshot: RepoSnapshot,
): AsyncGenerator<SnapshotRecord, void, void> {
  for await (const record of snapshot.records)
    if (schema.byNsid.has(record.collection)) yield record
}

/** As many records as a small repo may have, and whether that was all. */
async function readSome(
  reader: AsyncGenerator<SnapshotRecord, void, void>,
): Promise<{ readonly records: SnapshotRecord[]; readonly ended: boolean }> {
  const records: SnapshotRecord[] = []
  let bytes = 0
  while (records.length < SMALL_REPO_RECORDS && bytes < SMALL_REPO_BYTES) {
    const { value } = await reader.next()
    if (value === undefined) return { records, ended: true }
    records.push(value)
    bytes += value.record.length
  }
  return { records, ended: false }
}

async function* chain<T>(first: readonly T[], rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield* first
  yield* rest
}

/** Options of {@link workRepos}. */
export interface RepoWorkOptions extends ClaimOptions {
  readonly context: () => EngineContext
  readonly fetchRepo: RepoFetcher
  readonly concurrency: number
  readonly onSnapshot: (outcome: SnapshotOutcome) => void
  readonly onRepo: ((report: RepoReport) => void) | undefined
  /** Stop when nothing is due; otherwise wait for more. */
  readonly untilEmpty: boolean
}

/** Longest that a run which ends when nothing is due waits for a host that is busy. */
const MAX_BUSY_WAIT_MS = 10_000
/** How often in a row it waits for them and then gets nothing. */
const MAX_BUSY_WAITS = 30
/** By how much a timer may end before a clock says so. */
const TIMER_SLACK_MS = 10
/** How often a waiting worker looks whether a retry has become due. */
const IDLE_POLL_MS = 1_000

/** Fetches queued repos, several at a time, until none is due or the signal aborts. */
export async function workRepos(
  options: RepoWorkOptions,
): Promise<{ synchronized: number; failed: number }> {
  const { writer, concurrency, signal, untilEmpty, delay } = options
  const result = { synchronized: 0, failed: 0 }
  const running = new Set<Promise<void>>()
  /** For how long repos were put off since the last wait because their hosts were busy, how many, and waits in vain. */
  let soonMs = 0
  let putOff = 0
  let waits = 0
  try {
    while (!signal.aborted) {
      const free = concurrency - running.size
      const claimed = free > 0 ? await claimRepos(options, free) : []
      for (const { did, attempts } of claimed) {
        const work = fetchOne(options, did, attempts).then((outcome) => {
          if (typeof outcome === 'string') result[outcome]++
          else if (outcome.busyMs > MAX_BUSY_WAIT_MS) result.failed++
          else {
            soonMs = Math.max(soonMs, outcome.busyMs + TIMER_SLACK_MS)
            putOff++
          }
          if (outcome === 'synchronized') waits = 0
          running.delete(work)
        })
        running.add(work)
      }
      if (running.size > 0 && (claimed.length === 0 || running.size >= concurrency))
        await oneOf(running)
      else if (claimed.length === 0) {
        if (!untilEmpty) await writer.awaitWork(delay, IDLE_POLL_MS, signal)
        else if (soonMs === 0) break
        else if (waits++ >= MAX_BUSY_WAITS) {
          // Whoever says "in a moment" for ever holds nobody up; the repos stay queued.
          result.failed += putOff
          break
        } else await delay(soonMs, signal).catch(() => undefined)
        soonMs = 0
        putOff = 0
      }
    }
  } finally {
    await Promise.all(running)
  }
  return result
}

/** Waits for the first; those that end with it have ended too. */
async function oneOf(running: ReadonlySet<Promise<void>>): Promise<void> {
  await Promise.race(running)
  await setImmediate()
}

async function fetchOne(
  options: RepoWorkOptions,
  did: string,
  attempts: number,
): Promise<'synchronized' | 'failed' | { readonly busyMs: number }> {
  const { writer, context, fetchRepo, signal, onIssue, onRepo } = options
  const startedAt = performance.now()
  const retryMs = backoffMs(attempts + 1, FIRST_RETRY_MS, MAX_RETRY_MS)
  let host: string | undefined
  const report = (outcome: RepoReport['outcome'], records: number): void => {
    onRepo?.({ did, host, outcome, records, durationMs: performance.now() - startedAt })
  }
  try {
    const found = await fetchRepo(did, { signal, attempt: attempts + 1 })
    host = found.host
    if (found.kind === 'snapshot') {
      if (found.snapshot.did !== did) throw new TypeError('fetched another repo than asked for')
      const snapshot = await applyClaimed(writer, context().schema, found.snapshot, retryMs)
      options.onSnapshot(snapshot)
      report('synchronized', snapshot.records)
      return 'synchronized'
    }
    if (found.kind === 'busy') {
      const { retryAfterMs: busyMs } = found
      const touched = await writer.transact((tx, engine) => {
        const dueAt = engine.now + busyMs
        return abandonSnapshot(engine, tx, did, REPO_QUEUED, dueAt, { isAttempt: false })
      })
      writer.announce(touched)
      report('busy', 0)
      return { busyMs }
    }
    const { active, status } = found
    await writer.transact(function* (tx, engine) {
      yield* abandonSnapshot(engine, tx, did, REPO_LIVE, 0)
      yield* applyEvents(engine, tx, [{ type: 'account', seq: 0, did, active, status }])
    })
    writer.startSweeping()
    report('inactive', 0)
    return 'synchronized'
  } catch (error) {
    if (!signal.aborted) {
      onIssue({ kind: 'repo-failed', did, error, attempt: attempts + 1 })
      report('failed', 0)
    }
    await letGo(options, did, { isAttempt: true, retryMs })
    return 'failed'
  }
}
