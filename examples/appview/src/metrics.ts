import type {
  BatchReport,
  IndexerStatus,
  ReconcileResult,
  RepoReport,
} from '@skywright/appview-indexer'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Hosts that are told apart; the repos of further ones are counted as `other`. */
const MAX_HOSTS = 1_000

/** Figures of the index as Prometheus reads them. Hand its hooks to `openIndexer`. */
export interface IndexMetrics {
  readonly contentType: string
  readonly onBatch: (report: BatchReport) => void
  readonly onRepo: (report: RepoReport) => void
  readonly onReconcile: (result: ReconcileResult) => void
  /** The text format, with what the index says of itself now. */
  render(status: IndexerStatus): Promise<string>
}

/** Counts in memory what an indexer reports, in a registry of its own. */
export function createIndexMetrics(now: () => number = Date.now): IndexMetrics {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string, ...labelNames: string[]): Counter =>
    new Counter({ name: `appview_${name}`, help, labelNames, registers })
  const gauge = (name: string, help: string, ...labelNames: string[]): Gauge =>
    new Gauge({ name: `appview_${name}`, help, labelNames, registers })
  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name: `appview_${name}`, help, buckets, registers })

  const batchEvents = histogram(
    'batch_events',
    'Events in one transaction.',
    [1, 3, 10, 30, 100, 300, 1_000],
  )
  const writeSeconds = histogram(
    'write_seconds',
    'From handing a batch in to committed.',
    [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3],
  )
  const visibleSeconds = histogram(
    'commit_to_visible_seconds',
    'From the moment a commit names as its own to visible here; clocks differ.',
    [0.05, 0.1, 0.3, 1, 3, 10, 60, 600],
  )
  const lag = gauge('lag_seconds', 'The same of the newest commit of the last batch.', 'source')
  const records = counter('records_total', 'Records put or deleted.')
  const labels = counter('labels_total', 'Statements of labelers that were new.')
  const refused = counter('refused_records_total', 'Records that were kept out.', 'kept')
  const fetched = counter('repos_fetched_total', 'Repos that were fetched.', 'host', 'outcome')
  const reconciled = counter('reconciled_repos_total', 'Repos compared with their PDS.', 'outcome')
  const repos = gauge('repos', 'Accounts by what is known of their repo.', 'state')
  const dead = gauge('dead_letters', 'Refused records that can be tried again.')
  const dropped = gauge('dead_letters_dropped', 'Refused records beyond the bound.')
  const listings = gauge('listings_pending', 'Sources that missed events not yet listed.')
  const cursor = gauge('cursor', 'Position in a source.', 'source')
  const cursorAge = gauge('cursor_age_seconds', 'Since it moved.', 'source')
  const failing = gauge('store_failing', 'Attempts at a batch the database refuses; 0 when fine.')
  const hosts = new Set<string>()

  return {
    contentType: registry.contentType,
    onBatch: (batch) => {
      batchEvents.observe(batch.events)
      writeSeconds.observe(batch.durationMs / 1_000)
      for (const ageMs of batch.commitAgesMs) visibleSeconds.observe(Math.max(0, ageMs / 1_000))
      if (batch.commitAgesMs.length > 0)
        lag.set({ source: batch.source ?? '' }, Math.min(...batch.commitAgesMs) / 1_000)
      records.inc(batch.records)
      labels.inc(batch.labels)
      refused.inc({ kept: 'true' }, batch.deadLetters - batch.deadLettersDropped)
      refused.inc({ kept: 'false' }, batch.deadLettersDropped)
    },
    onRepo: ({ host = 'unknown', outcome }) => {
      if (hosts.size < MAX_HOSTS) hosts.add(host)
      fetched.inc({ host: hosts.has(host) ? host : 'other', outcome })
    },
    onReconcile: ({ compared, drifted, behind, failed }) => {
      reconciled.inc({ outcome: 'compared' }, compared)
      reconciled.inc({ outcome: 'drifted' }, drifted.length)
      reconciled.inc({ outcome: 'behind' }, behind.length)
      reconciled.inc({ outcome: 'failed' }, failed.length)
    },
    render: (status) => {
      for (const [state, n] of Object.entries(status.repos)) repos.set({ state }, n)
      dead.set(status.deadLetters)
      dropped.set(status.deadLettersDropped)
      listings.set(status.missed.filter(({ pending }) => pending).length)
      for (const { source, cursor: position, updatedAt } of status.cursors) {
        cursor.set({ source }, position)
        cursorAge.set({ source }, (now() - updatedAt) / 1_000)
      }
      failing.set(status.failing?.attempts ?? 0)
      return registry.metrics()
    },
  }
}
