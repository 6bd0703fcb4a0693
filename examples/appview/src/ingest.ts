import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { firehoseSource, type Indexer } from '@skywright/appview-indexer'
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

/** Follows the relay for ever. What was missed, and what could not be judged, the index lists and fetches by itself. */
export function startIngest({ config, index, resolver, logger }: IngestOptions): Ingest {
  const stop = new AbortController()
  const { signal } = stop
  const issues: Record<string, number> = {}
  let connected = false
  const onIssue = (issue: FirehoseIssue): void => {
    const kind = issue.kind === 'rejected' ? `rejected:${issue.reason}` : issue.kind
    issues[kind] = (issues[kind] ?? 0) + 1
    logger.warn({ issue }, 'stream')
    if (issue.kind === 'reconnect') connected = false
  }
  const onOpen = (): void => {
    connected = true
  }
  const open = createOpenWebSocket({ onOpen })
  const relay = { service: config.relay, resolver, allowHttp: config.dev, onIssue, open }
  const following = (async () => {
    while (!signal.aborted) {
      // The stream reconnects by itself; this goes on after what ends it.
      await index.run(firehoseSource(relay), { signal }).catch((error: unknown) => {
        if (!signal.aborted) logger.error({ err: error }, 'stream ended')
      })
      connected = false
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined)
    }
  })()
  return {
    status: () => ({ connected, issues: { ...issues } }),
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await following
    },
  }
}
