import type { RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { createHostReport } from '../host-report.ts'
import type { HostReports } from '../host-reports.ts'
import { relayLexicons } from '../lexicons.ts'

/** Tells a host owner how the host's events fared here, and why those that were dropped were. */
export function getHostReport(sources: {
  readonly store: RelayStore
  readonly reports: HostReports
}): XrpcMethod {
  return defineMethod(relayLexicons, 'io.github.skywright.relay.getHostReport', {
    handler: ({ params: { hostname, limit }, error }) => {
      const report = createHostReport(hostname, limit, sources)
      if (report === undefined) throw error('HostNotFound', `${hostname} is not followed here`)
      return report
    },
  })
}
