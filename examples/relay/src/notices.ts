import type { RelayNotice, RelayStore } from '@skywright/firehose/relay'
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
  sources: {
    readonly reports: HostReports
    readonly logger: Logger
    readonly store: Pick<RelayStore, 'getHost'>
  },
): void {
  const { reports, logger } = sources
  switch (notice.kind) {
    case 'event':
      recordEvent(notice, sources)
      if (notice.outcome !== 'accepted' && logger.isLevelEnabled('debug')) {
        logger.debug(loggable(notice), 'event')
      }
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
      if (notice.hostname === undefined) break
      reports.incident(notice.hostname, {
        outcome: 'connection',
        reason: 'internal',
        detail: messageOf(notice.error),
      })
  }
}

function recordEvent(
  notice: Extract<RelayNotice, { kind: 'event' }>,
  {
    reports,
    store,
  }: { readonly reports: HostReports; readonly store: Pick<RelayStore, 'getHost'> },
): void {
  const { hostname, outcome, did, seq, rev } = notice
  if (outcome === 'accepted') {
    reports.count(hostname, outcome)
    return
  }
  const error = 'error' in notice ? notice.error : undefined
  if (notice.reason === UNREMARKABLE) return
  // A host that is only observed is not told off for what was let through.
  if (outcome === 'tolerated' && store.getHost(hostname)?.enforcement === 'observe') {
    reports.count(hostname, outcome, notice.reason)
    return
  }
  reports.incident(hostname, {
    outcome,
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
