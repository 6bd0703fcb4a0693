import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import {
  type EventSource,
  firehoseSource,
  type Indexer,
  labelSource,
} from '@skywright/appview-indexer'
import type { FirehoseIssue } from '@skywright/firehose'
import { createOpenWebSocket } from '@skywright/firehose/ws'
import type { IdentityResolver } from '@skywright/identity'
import type { AppCollections } from './collections.ts'
import type { AppViewConfig } from './config.ts'

const RETRY_MS = 1_000

/** What the stream is doing. */
export interface IngestStatus {
  readonly connected: boolean
  /** Of everything received and not indexed, how often, by kind. */
  readonly issues: Readonly<Record<string, number>>
}

export interface Ingest extends AsyncDisposable {
  status(): IngestStatus
}

export interface IngestOptions {
  readonly config: AppViewConfig
  readonly index: Indexer<AppCollections>
  readonly resolver: IdentityResolver
  readonly logger: Logger
}

/** Follows the relay and the labelers for ever. What was missed, and what could not be judged, the index lists and fetches by itself. */
export function startIngest({ config, index, resolver, logger }: IngestOptions): Ingest {
  const stop = new AbortController()
  const { signal } = stop
  const issues: Record<string, number> = {}
  let connected = false
  const onIssue = (issue: FirehoseIssue): void => {
    const kind = issue.kind === 'rejected' ? `rejected:${issue.reason}` : issue.kind
    issues[kind] = (issues[kind] ?? 0) + 1
    logger.warn({ issue }, 'stream')
  }
  const onOpen = (): void => {
    connected = true
  }
  const network = { resolver, allowHttp: config.dev }
  const relay = firehoseSource({
    ...network,
    service: config.relay,
    open: createOpenWebSocket({ onOpen }),
    onIssue: (issue) => {
      onIssue(issue)
      if (issue.kind === 'reconnect') connected = false
    },
  })
  const labelers = config.labelers.map((labeler) =>
    labelSource({ ...network, labeler, open: createOpenWebSocket(), onIssue }),
  )
  const follow = async (source: EventSource): Promise<void> => {
    while (!signal.aborted) {
      // The stream reconnects by itself; this goes on after what ends it.
      await index.run(source, { signal }).catch((error: unknown) => {
        if (!signal.aborted) logger.error({ err: error, source: source.name }, 'stream ended')
      })
      if (source === relay) connected = false
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined)
    }
  }
  const following = Promise.all([relay, ...labelers].map(follow))
  return {
    status: () => ({ connected, issues: { ...issues } }),
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await following
    },
  }
}
