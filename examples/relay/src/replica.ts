import { createServer } from 'node:http'
import { join } from 'node:path'
import { replicate, type ReplicaNotice } from '@skywright/firehose/relay'
import { openSegmentEventLog } from '@skywright/firehose/segments'
import { createOpenWebSocket } from '@skywright/firehose/ws'
import { closeServer } from '@skywright/xrpc/node'
import express from 'express'
import type { Logger } from 'pino'
import type { RelayConfig } from './config.ts'
import { lockFolder } from './folder-lock.ts'
import { SERVER_NAME } from './host-check.ts'
import { HOUR_MS, HOUSEKEEPING_MS } from './housekeeping.ts'
import { listen } from './listen.ts'
import { createLogger } from './logger.ts'
import { formatMetrics, gauge, METRICS_TYPE, streamMetrics } from './metrics.ts'
import type { RunningRelay } from './server.ts'
import { serveStreams } from './streams.ts'

/** How long a subscriber may wait for an event it has from a sibling that was a moment quicker. */
const FUTURE_GRACE_MS = 5_000

/**
 * Starts a replica: the upstream's stream, with the upstream's numbers, from a log of its own. Everything but the stream
 * is the upstream's to answer, and whoever asks is sent there.
 */
export async function startReplica(
  config: RelayConfig,
  overrides: { readonly logger?: Logger; readonly now?: () => number } = {},
): Promise<RunningRelay> {
  const { upstream, dataDirectory } = config
  if (upstream === undefined) throw new TypeError('a replica needs an upstream')
  const { logger = createLogger('replica', config), now = Date.now } = overrides
  await using stack = new AsyncDisposableStack()
  stack.use(lockFolder(dataDirectory))
  const log = stack.use(
    await openSegmentEventLog({
      folder: join(dataDirectory, 'log'),
      // The numbers are the upstream's.
      sequence: 'counter',
      now,
      onDamage: (damage) => logger.error(damage, 'an event in the log is damaged'),
    }),
  )

  let upstreamProblem: string | undefined = 'the upstream was not reached yet'
  // Where its window begins is known with the first event.
  const isEmpty = (): boolean => log.bounds().last === 0
  const problem = (): string | undefined =>
    upstreamProblem ?? (isEmpty() ? 'the upstream sent nothing yet' : undefined)
  const server = createServer(
    express()
      .disable('x-powered-by')
      .use((_request, response, next) => {
        response.set('server', SERVER_NAME)
        next()
      })
      .get('/xrpc/_health', (_request, response) => {
        response.json({ version: 'skywright' })
      })
      .get('/readyz', (_request, response) => {
        const found = problem()
        response
          .status(found === undefined ? 200 : 503)
          .type('text/plain')
          .send(found ?? 'ready')
      })
      .get('/metrics', (_request, response) => {
        const connected = gauge(
          'relay_upstream_connected',
          'Whether the upstream is being read.',
          upstreamProblem === undefined ? 1 : 0,
        )
        response
          .type(METRICS_TYPE)
          .send(formatMetrics([connected, ...streamMetrics(log, subscribers.size)]))
      })
      .use((request, response) => {
        // 307 keeps method and body. Only the path of the target is the caller's to choose.
        const { pathname, search } = new URL(request.originalUrl, 'http://localhost')
        const target = new URL(upstream)
        target.pathname = pathname
        target.search = search
        response.redirect(307, target.href)
      }),
  )
  stack.defer(() => closeServer(server))
  const subscribers = stack.use(
    serveStreams(server, log, {
      maxSubscribers: config.maxSubscribers,
      jetstream: config.jetstream,
      jetstreamDictionary: config.jetstreamDictionary,
      futureGraceMs: FUTURE_GRACE_MS,
      isReady: () => !isEmpty(),
    }),
  )
  const { port, url } = await listen(server, config)

  const failure = new AbortController()
  const stopping = new AbortController()
  const running = replicate({
    upstream,
    log,
    open: createOpenWebSocket({ headers: { 'user-agent': SERVER_NAME } }),
    signal: stopping.signal,
    onNotice: (notice) => {
      upstreamProblem = problemAfter(notice, upstreamProblem)
      logger.info(notice, 'upstream')
    },
  }).catch((error: unknown) => {
    upstreamProblem = 'the replica cannot store events'
    failure.abort(error)
  })
  stack.defer(async () => {
    stopping.abort()
    await running
  })
  const keepHouse = async (): Promise<void> => {
    const { retentionHours, retentionBytes: maxBytes } = config
    await log.trim({ beforeMs: now() - retentionHours * HOUR_MS, maxBytes })
  }
  const housekeeping = setInterval(() => {
    keepHouse().catch((err: unknown) => logger.error({ err }, 'housekeeping failed'))
  }, HOUSEKEEPING_MS)
  stack.defer(() => clearInterval(housekeeping))
  logger.info({ port, upstream, ...log.bounds() }, 'replica started')

  const resources = stack.move()
  return {
    url,
    port,
    failure: failure.signal,
    keepHouse,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** What keeps a replica from its work, after this news. */
function problemAfter(notice: ReplicaNotice, before: string | undefined): string | undefined {
  switch (notice.kind) {
    case 'connected':
      return undefined
    case 'lost':
      return 'the upstream is not reached'
    case 'future-cursor':
      return 'the upstream is behind this replica'
    default:
      return before
  }
}
