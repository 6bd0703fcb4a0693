import type { HostRecord, RelayStore } from '@skywright/firehose/relay'
import type { HostReports } from './host-reports.ts'

/** What `getHostReport` and the status page show of a host. Times are ISO 8601. */
export interface HostReportView {
  readonly hostname: string
  readonly status: string
  readonly enforcement: string
  readonly seq?: number
  readonly accountCount: number
  readonly accountLimit: number
  readonly addedAt: string
  readonly lastEventAt?: string
  readonly outcomes: readonly {
    readonly outcome: string
    readonly reason?: string
    readonly count: number
    readonly lastAt: string
  }[]
  /** Newest first. */
  readonly incidents: readonly {
    readonly at: string
    readonly outcome: string
    readonly reason: string
    readonly did?: string
    readonly seq?: number
    readonly rev?: string
    readonly detail?: string
  }[]
}

/** Builds the report of one host, or `undefined` when it is not known. */
export function createHostReport(
  hostname: string,
  limit: number,
  {
    store,
    reports,
  }: { readonly store: Pick<RelayStore, 'getHost'>; readonly reports: HostReports },
): HostReportView | undefined {
  const host = store.getHost(hostname.toLowerCase())
  return host && toView(host, limit, reports)
}

function toView(host: HostRecord, limit: number, reports: HostReports): HostReportView {
  return {
    hostname: host.hostname,
    status: host.status,
    enforcement: host.enforcement,
    ...(host.cursor === undefined ? {} : { seq: host.cursor }),
    accountCount: host.accountCount,
    accountLimit: host.accountLimit,
    addedAt: toIso(host.addedAtMs),
    ...(host.lastEventAtMs === undefined ? {} : { lastEventAt: toIso(host.lastEventAtMs) }),
    outcomes: reports.counts(host.hostname).map(({ outcome, reason, count, lastAtMs }) => ({
      outcome,
      ...(reason === '' ? {} : { reason }),
      count,
      lastAt: toIso(lastAtMs),
    })),
    incidents: reports
      .incidents(host.hostname, limit)
      .map(({ atMs, ...incident }) => ({ at: toIso(atMs), ...incident })),
  }
}

function toIso(ms: number): string {
  return new Date(ms).toISOString()
}
