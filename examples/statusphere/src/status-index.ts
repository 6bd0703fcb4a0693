import { join } from 'node:path'
import type { Logger } from 'pino'
import {
  collection,
  createRepoFetcher,
  firehoseSource,
  listRepos,
  openIndexer,
  text,
} from '@skywright/appview-indexer'
import type { CollectionDeclaration, Column, Indexer, Row } from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import type { FirehoseIssue } from '@skywright/firehose'
import type { Identity, IdentityResolver } from '@skywright/identity'
import { createCatalog } from '@skywright/xrpc'
import type { StatusphereConfig } from './config.ts'
import { statusLexicon } from './lexicon.ts'

interface StatusColumns extends Record<string, Column> {
  readonly status: Column<string>
}

/** One indexed status. */
export type StatusRow = Row<StatusColumns>
/** Every valid status of the network, and the verified handles of those who wrote them. */
export type StatusIndex = Indexer<{ readonly status: CollectionDeclaration<StatusColumns> }>

export interface StatusIndexOptions {
  readonly config: StatusphereConfig
  readonly resolver: IdentityResolver
  /** For the URLs of strangers. */
  readonly fetch: typeof globalThis.fetch
  readonly logger: Logger
  /** Stops following the relay. */
  readonly signal: AbortSignal
}

const STATUS = statusLexicon.id
/** Indexed, because it is counted by. */
const emoji = text('status', { required: true, index: true })

/** Opens the index and lets it follow the relay, verified, from where it stopped the last time. */
export async function openStatusIndex(options: StatusIndexOptions): Promise<StatusIndex> {
  const { config, resolver, fetch, logger, signal } = options
  const failed = (error: unknown): void => {
    if (!signal.aborted) logger.error({ err: error }, 'index')
  }
  const index = await openIndexer({
    store: openSqliteIndexStore(join(config.dataDirectory, 'statuses.sqlite')),
    collections: { status: collection(STATUS, { columns: { status: emoji } }) },
    lexicons: createCatalog(statusLexicon),
    fetchRepo: createRepoFetcher({ resolver, fetch }),
    listRepos: () => listRepos({ service: config.relay, collection: STATUS, signal }),
    resolveHandle: async (did) => verifiedHandle(await resolver.resolveIdentity(did, { signal })),
    onIssue: (issue) => logger.warn({ issue }, 'index'),
  })
  const onIssue = (issue: FirehoseIssue): void => logger.warn({ issue }, 'stream')
  const source = { service: config.relay, resolver, allowHttp: config.dev, onIssue }
  index.run(firehoseSource(source), { signal }).catch(failed)
  return index
}

/** What the index shows beside a status: nothing, when DID and handle do not name each other. */
function verifiedHandle({ handle, handleError }: Identity): string | null {
  return handleError === undefined ? handle : null
}
