import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { mkdir } from 'node:fs/promises'
import express from 'express'
import { type Logger, pino } from 'pino'
import {
  createRepoFetcher,
  type Indexer,
  type IndexerStatus,
  listRepos,
  openIndexer,
} from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { createServiceDidDocument, type IdentityResolver } from '@skywright/identity'
import { createNodeResolver, createSafeFetch } from '@skywright/identity/node'
import { createRouter, type Middleware } from '@skywright/xrpc'
import { createExpressHandler } from '@skywright/xrpc/express'
import { closeServer } from '@skywright/xrpc/node'
import { atproto } from '@skywright/xrpc/lexicons'
import { createActorLookup } from './actor-lookup.ts'
import { createAppQuery } from './app-query.ts'
import { createViewerAuth } from './auth.ts'
import { type AppCollections, declareCollections } from './collections.ts'
import type { AppViewConfig } from './config.ts'
import { createBlobSource } from './images/blob-source.ts'
import { openDiskCache } from './images/disk-cache.ts'
import { imageRoutes } from './images/routes.ts'
import { createBlobUrls } from './images/url.ts'
import { startIngest, type IngestStatus } from './ingest.ts'
import { createIndexMetrics } from './metrics.ts'
import { allMethods } from './methods/index.ts'

/** A running AppView. Disposing stops the stream, finishes what is being written and closes the index. */
export interface AppView extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string
  /** DID of the service; service tokens name it, alone or with `#bsky_appview`. */
  readonly did: string
  /** The index, for operators and tests. */
  readonly index: Indexer<AppCollections>
  status(): Promise<AppViewStatus>
}

export interface AppViewStatus extends IndexerStatus {
  readonly ingest: IngestStatus
  /** Bytes of images kept on disk. */
  readonly imageBytes: number
}

/** 256 MB, held in memory while it is proven, eight at a time. A larger repository is not backfilled. */
const MAX_REPO_BYTES = 256_000_000
/** A few accounts every ten minutes are compared with their PDS. */
const RECONCILE = { intervalMs: 600_000, sample: 10 }

/** Parts that a test or another server replaces. */
export interface AppViewOptions {
  /** @defaultValue one over the configured PLC directory, DNS and HTTPS */
  readonly resolver?: IdentityResolver
  /** For URLs that strangers chose. @defaultValue a fetch that refuses private addresses, unless `dev` */
  readonly fetch?: typeof globalThis.fetch
  /** @defaultValue JSON lines to standard output */
  readonly logger?: Logger
}

/** Starts an AppView: resolves when it answers requests; the stream catches up meanwhile. */
export async function startAppView(
  config: AppViewConfig,
  options: AppViewOptions = {},
): Promise<AppView> {
  const { dev } = config
  const {
    fetch = createSafeFetch({ dev }),
    resolver = createNodeResolver({ plcUrl: config.plcUrl, fetch, dev }),
    logger = pino({ name: 'appview', level: config.logLevel }),
  } = options
  await using started = new AsyncDisposableStack()

  await mkdir(config.dataDirectory, { recursive: true })
  const metrics = createIndexMetrics()
  const index = started.use(
    await openIndexer({
      store: openSqliteIndexStore(join(config.dataDirectory, 'index.sqlite')),
      // What others wrote, over years: readers take what the hosts of its time took.
      collections: declareCollections((nsid, record) =>
        atproto.validateRecord(nsid, record, { legacyBlobs: true, lenient: true }),
      ),
      accounts: 'all',
      fetchRepo: createRepoFetcher({ resolver, fetch, maxBytes: MAX_REPO_BYTES }),
      ...(config.backfill && {
        listRepos: ({ signal }) => listRepos({ service: config.relay, signal }),
      }),
      resolveHandle: async (did, { signal }) => {
        const { handle, handleError } = await resolver.resolveIdentity(did, { signal })
        return handleError === undefined ? handle : null
      },
      reconcileEvery: RECONCILE,
      onBatch: metrics.onBatch,
      onRepo: metrics.onRepo,
      onReconcile: metrics.onReconcile,
      onIssue: (issue) => logger.warn({ issue }, 'index'),
    }),
  )
  const cache = await openDiskCache({
    directory: join(config.dataDirectory, 'images'),
    maxBytes: config.imageCacheBytes,
  })

  const app = express()
  const server = createServer(app)
  started.defer(() => closeServer(server))
  const url = await listen(server, config)
  const publicUrl = config.publicUrl ?? url
  const did = config.did ?? didOfUrl(publicUrl)

  const auth = createViewerAuth({
    audience: [`${did}#bsky_appview`, did, ...config.audiences],
    resolver,
    publicReads: config.publicReads,
  })
  const router = createRouter({
    lexicons: atproto,
    validateOutput: config.validateOutput,
    onError: (error, { nsid }) => logger.error({ err: error, nsid }, 'method failed'),
    middleware: [logCalls(logger)],
    health: () => ({ version: '0.0.0' }),
  })
  const labelers = config.labelers.map((labeler) => ({ did: labeler, redact: true }))
  const parts = {
    index,
    urls: createBlobUrls(publicUrl),
    actors: createActorLookup(index, resolver),
    query: createAppQuery(index, auth, labelers),
  }
  for (const method of allMethods(parts)) router.add(method)

  const document = createServiceDidDocument({
    did,
    services: [{ id: 'bsky_appview', type: 'BskyAppView', endpoint: publicUrl }],
  })
  app.disable('x-powered-by')
  app.get('/.well-known/did.json', (_request, response) => {
    response.set('access-control-allow-origin', '*').json(document)
  })
  app.use(createExpressHandler(router))
  app.use(imageRoutes({ index, blobs: createBlobSource({ resolver, fetch }), cache, labelers }))
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.render(await index.status()))
  })
  app.get('/', (_request, response) => {
    response.type('text/plain').send(`An AppView of the AT Protocol: ${did}\n`)
  })

  const following = started.use(startIngest({ config, index, resolver, logger }))
  logger.info({ url, did, relay: config.relay }, 'listening')

  const running = started.move()
  return {
    url,
    did,
    index,
    status: async () => ({
      ...(await index.status()),
      ingest: following.status(),
      imageBytes: cache.size,
    }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** One line a call, at level debug. */
function logCalls(logger: Logger): Middleware {
  return async ({ nsid }, next) => {
    const started = performance.now()
    const response = await next()
    logger.debug({ nsid, status: response.status, ms: performance.now() - started }, 'call')
    return response
  }
}

async function listen(server: Server, { host, port, dev }: AppViewConfig): Promise<string> {
  server.listen(port, host)
  await once(server, 'listening')
  // A TCP server's address is never the text of a pipe.
  const { port: actual } = server.address() as AddressInfo
  const name = dev && host === '127.0.0.1' ? 'localhost' : host
  return `http://${name}:${actual}`
}

/** The did:web of an origin: a port is part of it, percent-encoded. */
function didOfUrl(url: string): string {
  return `did:web:${encodeURIComponent(new URL(url).host)}`
}
