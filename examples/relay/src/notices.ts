import type { RelayNotice } from '@skywright/firehose/relay'
import type { Logger } from 'pino'
import type { HostReports } from './host-reports.ts'

/** What was handled already comes again after a restart; that is nobody's fault and no news. */
const UNREMARKABLE = 'duplicate'

/**
 * Takes what the engine tells into the host reports and the log.
 *
 * Events are counted, never logged one by one above `debug`: a hostile host must not be able to drive the log.
 */
export function recordNotice(
  notice: RelayNotice,
  { reports, logger }: { readonly reports: HostReports; readonly logger: Logger },
): void {
  switch (notice.kind) {
    case 'event':
      recordEvent(notice, reports)
      if (notice.outcome !== 'accepted') logger.debug(loggable(notice), 'event')
      break
    case 'connection': {
      const { hostname, reason, error } = notice
      logger.info(loggable(notice), 'host connection')
      if (reason === 'connected') break
      reports.incident(hostname, {
        outcome: 'connection',
        reason,
        ...(error === undefined ? {} : { detail: messageOf(error) }),
      })
      break
    }
    case 'status':
      logger.info(loggable(notice), 'host status')
      break
    case 'failure':
      logger.error({ hostname: notice.hostname, err: notice.error }, 'failure')
  }
}

function recordEvent(notice: Extract<RelayNotice, { kind: 'event' }>, reports: HostReports): void {
  const { hostname, did, seq, rev } = notice
  if (notice.outcome === 'accepted') {
    reports.accepted(hostname)
    return
  }
  const error = 'error' in notice ? notice.error : undefined
  if (notice.reason === UNREMARKABLE) return
  reports.incident(hostname, {
    outcome: notice.outcome,
    reason: notice.reason,
    did,
    seq,
    ...(rev === undefined ? {} : { rev }),
    ...(error === undefined ? {} : { detail: messageOf(error) }),
  })
}

/** The small fields of a notice: no records, no proofs. */
function loggable(notice: RelayNotice): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(notice)) {
    if (typeof value === 'string' || typeof value === 'number') fields[name] = value
  }
  if ('error' in notice && notice.error !== undefined) fields['problem'] = messageOf(notice.error)
  return fields
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
