import { describe, expect, it } from 'vitest'
import { formatMetrics } from './metrics.ts'

describe('formatMetrics', () => {
  it('writes the Prometheus text format', () => {
    expect(
      formatMetrics([
        {
          name: 'relay_events_total',
          help: 'Events by outcome.',
          type: 'counter',
          samples: [
            { labels: { outcome: 'accepted', reason: '' }, value: 3 },
            { labels: { outcome: 'rejected', reason: 'a"b\\c\nd' }, value: 1 },
          ],
        },
        { name: 'relay_subscribers', help: 'Open.', type: 'gauge', samples: [{ value: 2 }] },
      ]),
    ).toBe(
      [
        '# HELP relay_events_total Events by outcome.',
        '# TYPE relay_events_total counter',
        'relay_events_total{outcome="accepted",reason=""} 3',
        'relay_events_total{outcome="rejected",reason="a\\"b\\\\c\\nd"} 1',
        '# HELP relay_subscribers Open.',
        '# TYPE relay_subscribers gauge',
        'relay_subscribers 2',
        '',
      ].join('\n'),
    )
  })
})
