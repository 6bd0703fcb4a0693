import type { EventLog } from '@skywright/firehose'
import type { HostRecord, Relay, RelayStore } from '@skywright/firehose/relay'
import { earnedAccountLimit } from './account-limits.ts'
import type { HostReports } from './host-reports.ts'

/** How often it is called. */
export const HOUSEKEEPING_MS = 60_000
export const HOUR_MS = 3_600_000
const HOST_PAGE = 500

export interface HousekeepingOptions {
  readonly store: RelayStore
  readonly log: Pick<EventLog, 'trim'>
  readonly relay: Pick<Relay, 'updateHost'>
  readonly reports: HostReports
  readonly now: () => number
  readonly retentionHours: number
  readonly retentionBytes: number
  /** What the limit of a host grows from; `undefined` when an operator set it. */
  readonly baseAccountLimit: (hostname: string) => number | undefined
}

/** What a relay does now and then: cut the replay window, and let account limits grow that were earned. */
export async function keepHouse(options: HousekeepingOptions): Promise<void> {
  const { log, now, retentionHours, retentionBytes } = options
  await log.trim({ beforeMs: now() - retentionHours * HOUR_MS, maxBytes: retentionBytes })
  let cursor: string | undefined
  do {
    const page = options.store.listHosts({
      limit: HOST_PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    })
    for (const host of page.items) await growLimit(host, options)
    ;({ cursor } = page)
  } while (cursor !== undefined)
}

async function growLimit(
  host: HostRecord,
  { relay, reports, now, baseAccountLimit }: HousekeepingOptions,
): Promise<void> {
  const base = baseAccountLimit(host.hostname)
  if (base === undefined) return
  const counts = reports.counts(host.hostname)
  const accountLimit = earnedAccountLimit(host, counts, { base, now: now() })
  if (accountLimit !== undefined) await relay.updateHost(host.hostname, { accountLimit })
}
