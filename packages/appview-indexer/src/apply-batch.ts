import { isTid } from '@skywright/repo'

import type { RecordFailure } from './engine/apply-changes.ts'
import { applyEvents } from './engine/apply-events.ts'
import { applyLabels } from './engine/apply-labels.ts'
import type { LabelOutcome } from './engine/apply-labels.ts'
import { ask } from './engine/steps.ts'
import type { IndexEvent, SourcedEvent } from './event.ts'
import type { BatchReport, BatchResult, IndexIssue } from './indexer.ts'
import type { MissedEvents } from './missed-events.ts'
import { revMillis } from './rev.ts'
import type { SerialWriter } from './serial-writer.ts'
import { isOfShard } from './shard.ts'
import type { Shard } from './shard.ts'
import { cursorName } from './source-cursor.ts'

const NO_LABELS: LabelOutcome = { stored: 0, failures: [], touched: new Set() }

/** What {@link applyBatch} works with. */
export interface BatchWork {
  readonly writer: SerialWriter
  readonly shard: Shard
  readonly missed: MissedEvents
  readonly now: () => number
  readonly onIssue: (issue: IndexIssue) => void
  readonly onBatch: ((report: BatchReport) => void) | undefined
}

/**
 * Applies events as one transaction, with the position of their source, the marks of events it missed and the labels, and
 * tells whoever waits for it.
 */
export async function applyBatch(
  work: BatchWork,
  events: readonly SourcedEvent[],
  source: string | undefined,
): Promise<{ readonly result: BatchResult; readonly failures: readonly RecordFailure[] }> {
  const { writer, shard, missed: missedEvents, now, onIssue, onBatch } = work
  const last = events.findLast((event) => event.type !== 'missed')
  // An event that overtook others does not move the cursor past them.
  const seq = last !== undefined && 'cursor' in last ? last.cursor : last?.seq
  const indexed = events.filter(
    (event): event is IndexEvent =>
      event.type !== 'position' &&
      event.type !== 'missed' &&
      event.type !== 'labels' &&
      isOfShard(event.did, shard),
  )
  const labels = events.flatMap((event) => (event.type === 'labels' ? event.labels : []))
  const cursor =
    source === undefined || seq === undefined
      ? undefined
      : { source: cursorName(last?.upstream ?? source, shard), seq }
  const missed = events.filter((event) => event.type === 'missed')
  const marked =
    missed.length > 0 ? missedEvents.nameOf(cursorName(source ?? '', shard)) : undefined
  const started = now()
  const outcome = await writer.transact(function* (tx, context) {
    const applied = yield* applyEvents(context, tx, indexed, cursor)
    if (marked !== undefined) yield* ask(tx.setCursor(marked, 1, context.now))
    const labelled =
      labels.length === 0 ? NO_LABELS : yield* applyLabels(context.schema, tx, labels)
    return { ...applied, labelled }
  })
  const { labelled } = outcome
  for (const { reason } of missed) {
    missedEvents.add()
    onIssue({ kind: 'missed', source: source ?? '', reason })
  }
  if (missed.length > 0) writer.announceWork()
  onBatch?.({
    commitAgesMs: commitAges(indexed, now()),
    source,
    cursor: seq,
    events: indexed.length,
    records: outcome.records,
    labels: labelled.stored,
    deadLetters: outcome.failures.length,
    deadLettersDropped: outcome.failures.filter(({ kept }) => !kept).length,
    durationMs: now() - started,
  })
  for (const { did, rev } of outcome.desynchronized) onIssue({ kind: 'gap', did, rev })
  for (const { did, rev } of outcome.rejected)
    onIssue({ kind: 'rejected', did, rev, reason: 'implausible rev' })
  for (const { label, reason } of labelled.failures) {
    const { src, uri, val } = label
    onIssue({ kind: 'label-refused', src, uri, val, reason })
  }
  writer.announce(new Set([...outcome.touched, ...labelled.touched]))
  if (outcome.workWaiting) {
    writer.startSweeping()
    writer.announceWork()
  }
  const result = {
    events: indexed.length,
    stale: outcome.stale,
    records: outcome.records,
    deadLetters: outcome.failures.length,
    desynchronized: outcome.desynchronized.map(({ did }) => did),
  }
  return { result, failures: outcome.failures }
}

function commitAges(events: readonly IndexEvent[], now: number): number[] {
  return events.flatMap((event) =>
    event.type === 'commit' && isTid(event.rev) ? [now - revMillis(event.rev)] : [],
  )
}
