import type { HostRecord } from '@skywright/firehose/relay'

/** A host as `com.atproto.sync.listHosts` and `getHostStatus` show it. */
export function toHostView(host: HostRecord): {
  readonly hostname: string
  readonly seq?: number
  readonly accountCount: number
  readonly status: string
} {
  return {
    hostname: host.hostname,
    ...(host.cursor === undefined ? {} : { seq: host.cursor }),
    accountCount: host.accountCount,
    status: host.status,
  }
}
