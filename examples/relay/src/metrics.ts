import type { EventLog } from '@skywright/firehose'

/** One family of samples in the Prometheus text format. */
export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly samples: readonly {
    readonly labels?: Readonly<Record<string, string>>
    readonly value: number
  }[]
}

/** What every relay has to tell, replicas too. */
export function streamMetrics(log: EventLog, subscribers: number): readonly Metric[] {
  const { first, last } = log.bounds()
  const { user, system } = process.cpuUsage()
  return [
    gauge('relay_subscribers', 'Open connections of subscribers.', subscribers),
    gauge('relay_first_seq', 'Oldest sequence number that can be replayed.', first),
    gauge('relay_last_seq', 'Newest sequence number.', last),
    gauge('process_resident_memory_bytes', 'Memory of the process.', process.memoryUsage.rss()),
    {
      name: 'process_cpu_seconds_total',
      help: 'CPU time of the process.',
      type: 'counter',
      samples: [{ value: (user + system) / 1e6 }],
    },
  ]
}

/** A gauge of one sample. */
export function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: 'gauge', samples: [{ value }] }
}

/** Content type of {@link formatMetrics}. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Writes metrics in the Prometheus text exposition format, version 0.0.4. */
export function formatMetrics(metrics: readonly Metric[]): string {
  return metrics
    .map(({ name, help, type, samples }) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...samples.map(({ labels, value }) => `${name}${formatLabels(labels)} ${String(value)}`),
        '',
      ].join('\n'),
    )
    .join('')
}

function formatLabels(labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) =>
      `${name}="${value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
