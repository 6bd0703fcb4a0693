import type {
  BatchReport,
  IndexerStatus,
  ReconcileResult,
  RepoReport,
} from '@skywright/appview-indexer'

/** Upper bounds of the age of a commit when it is visible, in seconds. */
const AGE_BUCKETS = [0.05, 0.1, 0.3, 1, 3, 10, 60, 600] as const
/** Hosts that are told apart; the repos of further ones are counted as `other`. */
const MAX_HOSTS = 1_000

/** Figures of the index as Prometheus reads them. Hand its hooks to `openIndexer`. */
export interface IndexMetrics {
  readonly onBatch: (report: BatchReport) => void
  readonly onRepo: (report: RepoReport) => void
  readonly onReconcile: (result: ReconcileResult) => void
  /** The text format, with what the index says of itself now. */
  render(status: IndexerStatus): string
}

/**
 * Counts in memory what an indexer reports.
 *
 * @see {@link https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format}
 */
export function createIndexMetrics(now: () => number = Date.now): IndexMetrics {
  const totals = { batches: 0, events: 0, records: 0, labels: 0, deadLetters: 0, writeMs: 0 }
  const ages = { count: 0, sumSeconds: 0, buckets: AGE_BUCKETS.map(() => 0) }
  const repos = new Map<string, { readonly host: string; readonly outcome: string; n: number }>()
  const hosts = new Set<string>()
  const reconciled = { compared: 0, drifted: 0, behind: 0, failed: 0 }
  return {
    onBatch: ({ events, records, labels, deadLetters, durationMs, commitAgesMs }) => {
      totals.batches++
      totals.events += events
      totals.records += records
      totals.labels += labels
      totals.deadLetters += deadLetters
      totals.writeMs += durationMs
      for (const ageMs of commitAgesMs) {
        const seconds = Math.max(0, ageMs / 1_000)
        ages.count++
        ages.sumSeconds += seconds
        AGE_BUCKETS.forEach((bound, at) => {
          if (seconds <= bound) ages.buckets[at] = (ages.buckets[at] ?? 0) + 1
        })
      }
    },
    onRepo: ({ host = 'unknown', outcome }) => {
      if (hosts.size < MAX_HOSTS) hosts.add(host)
      const known = hosts.has(host) ? host : 'other'
      const key = `${known} ${outcome}`
      const entry = repos.get(key) ?? { host: known, outcome, n: 0 }
      entry.n++
      repos.set(key, entry)
    },
    onReconcile: ({ compared, drifted, behind, failed }) => {
      reconciled.compared += compared
      reconciled.drifted += drifted.length
      reconciled.behind += behind.length
      reconciled.failed += failed.length
    },
    render: (status) => {
      const cursors = status.cursors.map(({ source, cursor, updatedAt }) => ({
        labels: { source },
        cursor,
        ageSeconds: (now() - updatedAt) / 1_000,
      }))
      const one = (value: number): Sample[] => [{ value }]
      const byName = (name: string, values: Readonly<Record<string, number>>): Sample[] =>
        Object.entries(values).map(([key, value]) => ({ labels: { [name]: key }, value }))
      return [
        metric('appview_batches_total', 'counter', one(totals.batches)),
        metric('appview_events_total', 'counter', one(totals.events)),
        metric('appview_records_total', 'counter', one(totals.records)),
        metric('appview_labels_total', 'counter', one(totals.labels)),
        metric('appview_dead_letters_total', 'counter', one(totals.deadLetters)),
        metric('appview_write_seconds_total', 'counter', one(totals.writeMs / 1_000)),
        metric('appview_commit_age_seconds', 'histogram', [
          ...AGE_BUCKETS.map((le, at) => ({
            suffix: '_bucket',
            labels: { le: String(le) },
            value: ages.buckets[at] ?? 0,
          })),
          { suffix: '_bucket', labels: { le: '+Inf' }, value: ages.count },
          { suffix: '_sum', value: ages.sumSeconds },
          { suffix: '_count', value: ages.count },
        ]),
        metric(
          'appview_repos_fetched_total',
          'counter',
          [...repos.values()].map(({ host, outcome, n }) => ({
            labels: { host, outcome },
            value: n,
          })),
        ),
        metric('appview_reconciled_repos_total', 'counter', byName('outcome', reconciled)),
        metric('appview_repos', 'gauge', byName('state', status.repos)),
        metric('appview_dead_letters', 'gauge', one(status.deadLetters)),
        metric(
          'appview_listings_pending',
          'gauge',
          one(status.missed.filter(({ pending }) => pending).length),
        ),
        metric(
          'appview_cursor',
          'gauge',
          cursors.map(({ labels, cursor }) => ({ labels, value: cursor })),
        ),
        metric(
          'appview_cursor_age_seconds',
          'gauge',
          cursors.map(({ labels, ageSeconds }) => ({ labels, value: ageSeconds })),
        ),
      ].join('')
    },
  }
}

interface Sample {
  readonly suffix?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

function metric(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  samples: readonly Sample[],
): string {
  const lines = samples.map(({ suffix = '', labels = {}, value }) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`)
    return `${name}${suffix}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`
  })
  return `# TYPE ${name} ${type}\n${lines.join('')}`
}

/** Host names come from DID documents of strangers. */
function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
