import type { EventLog } from '@skywright/firehose'
import express, { type ErrorRequestHandler, type Router } from 'express'
import { createHostReport } from './host-report.ts'
import type { HostReports } from './host-reports.ts'
import { formatMetrics, gauge, METRICS_TYPE, streamMetrics } from './metrics.ts'
import type { RelayTables } from './tables.ts'
import { PAGE_HEADERS, renderHost, renderIndex, renderMessage } from './status-page.ts'

/** Hosts listed on the front page. */
const MAX_LISTED_HOSTS = 1_000
/** Incidents on a host's page. */
const LISTED_INCIDENTS = 100

export interface PageSources {
  readonly tables: RelayTables
  readonly log: EventLog
  readonly reports: HostReports
  readonly subscribers: () => number
  /** `undefined` while the relay can do its work, else what is wrong. */
  readonly problem: () => string | undefined
}

/** What is served beside XRPC: pages for host owners, and answers for machines. */
export function createPages(sources: PageSources): Router {
  const { tables, log, reports, subscribers } = sources
  const pages = express.Router()

  pages.get('/', (_request, response) => {
    const page = tables.listHosts({ limit: MAX_LISTED_HOSTS })
    response.set(PAGE_HEADERS).send(
      renderIndex({
        hosts: page.items,
        lastSeq: log.bounds().last,
        subscribers: subscribers(),
        more: page.cursor !== undefined,
      }),
    )
  })

  pages.get('/hosts', (request, response) => {
    const { hostname } = request.query
    const name = typeof hostname === 'string' ? hostname.trim().toLowerCase() : ''
    response.redirect(303, name === '' ? '/' : `/hosts/${encodeURIComponent(name)}`)
  })

  pages.get('/hosts/:hostname', (request, response) => {
    const { hostname } = request.params
    const report = createHostReport(hostname, LISTED_INCIDENTS, { store: tables, reports })
    response.set(PAGE_HEADERS)
    if (report !== undefined) response.send(renderHost(report))
    else
      response.status(404).send(renderMessage('Unknown host', `${hostname} is not followed here.`))
  })

  pages.get('/readyz', (_request, response) => {
    const problem = sources.problem()
    response
      .status(problem === undefined ? 200 : 503)
      .type('text/plain')
      .send(problem ?? 'ready')
  })

  pages.get('/metrics', (_request, response) => {
    response.type(METRICS_TYPE).send(
      formatMetrics([
        {
          name: 'relay_events_total',
          help: 'Events received, by what became of them.',
          type: 'counter',
          samples: reports
            .totals()
            .map(({ outcome, reason, count }) => ({ labels: { outcome, reason }, value: count })),
        },
        {
          name: 'relay_hosts',
          help: 'Known hosts, by status.',
          type: 'gauge',
          samples: tables
            .countHostsByStatus()
            .map(({ status, count }) => ({ labels: { status }, value: count })),
        },
        gauge('relay_accounts', 'Accounts that live at a host.', tables.countAccounts()),
        ...streamMetrics(log, subscribers()),
      ]),
    )
  })

  return pages
}

/** The last word on what a page could not do: a status, and nothing about how the relay is made. */
export const answerFailure: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (response.headersSent) {
    next(error)
    return
  }
  const status = error instanceof URIError ? 400 : 500
  response
    .status(status)
    .set(PAGE_HEADERS)
    .send(renderMessage(`Error ${status}`, 'That did not work.'))
}
