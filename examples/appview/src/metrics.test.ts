import { expect, it } from 'vitest'
import type { IndexerStatus } from '@skywright/appview-indexer'
import { createIndexMetrics } from './metrics.ts'

const IDLE: IndexerStatus = {
  cursors: [],
  repos: { live: 0, queued: 0, fetching: 0, synchronized: 0, failed: 0 },
  deadLetters: 0,
  deadLettersDropped: 0,
  missed: [],
  failing: undefined,
  batches: 0,
  events: 0,
  records: 0,
}

it('tells hosts apart up to a bound, whatever strangers call theirs', async () => {
  const metrics = createIndexMetrics()
  const report = { did: 'did:web:a', outcome: 'synchronized', records: 1, durationMs: 1 } as const
  metrics.onRepo({ ...report, host: 'evil"} 7\nappview_repos{state="x' })
  for (let n = 0; n < 1_100; n++) metrics.onRepo({ ...report, host: `pds${n}.example` })
  metrics.onRepo({ ...report, host: undefined })
  const text = await metrics.render(IDLE)
  const lines = text.split('\n').filter((line) => line.startsWith('appview_repos_fetched_total'))
  expect(lines).toHaveLength(1_001)
  expect(lines.find((line) => line.includes('host="other"'))).toMatch(/ 102$/)
  expect(text).not.toMatch(/^appview_repos\{state="x/m)
})

it('gives what is lagging, failing and outstanding', async () => {
  let now = 5_000
  const metrics = createIndexMetrics(() => now)
  metrics.onBatch({
    source: 'https://relay.example',
    cursor: 7,
    events: 3,
    records: 2,
    labels: 1,
    deadLetters: 3,
    deadLettersDropped: 2,
    commitAgesMs: [900, 250, -4],
    durationMs: 12,
  })
  metrics.onReconcile({
    compared: 4,
    drifted: [{ did: 'did:web:a', records: 1 }],
    behind: [],
    failed: [],
  })
  now += 1_000
  const text = await metrics.render({
    ...IDLE,
    cursors: [{ source: 'https://relay.example', cursor: 7, updatedAt: 4_000 }],
    missed: [{ source: 'https://relay.example', pending: true }],
    failing: { reason: 'disk full', since: 0, attempts: 3 },
  })
  for (const line of [
    'appview_batch_events_bucket{le="3"} 1',
    'appview_batch_events_sum 3',
    'appview_commit_to_visible_seconds_bucket{le="0.05"} 1',
    'appview_commit_to_visible_seconds_bucket{le="0.3"} 2',
    'appview_commit_to_visible_seconds_count 3',
    'appview_refused_records_total{kept="true"} 1',
    'appview_refused_records_total{kept="false"} 2',
    'appview_reconciled_repos_total{outcome="drifted"} 1',
    'appview_cursor_age_seconds{source="https://relay.example"} 2',
    'appview_listings_pending 1',
    'appview_store_failing 3',
  ])
    expect(text.split('\n')).toContain(line)
})
