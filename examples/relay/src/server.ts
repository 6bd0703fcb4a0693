import { createServer } from 'node:http'
import { join } from 'node:path'
import type { IdentityResolver } from '@skywright/identity'
import {
  createNodeResolver,
  createSafeFetch,
  createSafeLookup,
  openSqliteIdentityCache,
  type ResolveAddresses,
} from '@skywright/identity/node'
import { createIdentitySource, systemClock, type OpenStream } from '@skywright/firehose'
import { createRelay } from '@skywright/firehose/relay'
import { openSegmentEventLog } from '@skywright/firehose/segments'
import { createProverPool } from '@skywright/firehose/workers'
import { createOpenWebSocket } from '@skywright/firehose/ws'
import { createRouter } from '@skywright/xrpc'
import { createExpressHandler } from '@skywright/xrpc/express'
import { closeServer } from '@skywright/xrpc/node'
import express from 'express'
import type { Logger } from 'pino'
import { createAdminAuth } from './admin-auth.ts'
import { Admission, type Follow } from './admission.ts'
import { CollectionIndex } from './collection-index.ts'
import type { RelayConfig } from './config.ts'
import { openDatabase } from './database.ts'
import { ExportPacer } from './export-pacer.ts'
import { lockFolder } from './folder-lock.ts'
import { isUnderDomain, parseHostname } from './hostname.ts'
import { HOUSEKEEPING_MS, keepHouse } from './housekeeping.ts'
import { SERVER_NAME } from './host-check.ts'
import { HostListing } from './host-listing.ts'
import { HostReports } from './host-reports.ts'
import { relayLexicons } from './lexicons.ts'
import { listen } from './listen.ts'
import { createLogger } from './logger.ts'
import { ListingTable } from './listing-table.ts'
import { getSubjectStatus } from './methods/com.atproto.admin.getSubjectStatus.ts'
import { updateSubjectStatus } from './methods/com.atproto.admin.updateSubjectStatus.ts'
import { getLatestCommit } from './methods/com.atproto.sync.getLatestCommit.ts'
import { getHostStatus } from './methods/com.atproto.sync.getHostStatus.ts'
import { getRepo } from './methods/com.atproto.sync.getRepo.ts'
import { getRepoStatus } from './methods/com.atproto.sync.getRepoStatus.ts'
import { listHosts } from './methods/com.atproto.sync.listHosts.ts'
import { listRepos } from './methods/com.atproto.sync.listRepos.ts'
import { listReposByCollection } from './methods/com.atproto.sync.listReposByCollection.ts'
import { requestCrawl } from './methods/com.atproto.sync.requestCrawl.ts'
import { subscribeRepos } from './methods/com.atproto.sync.subscribeRepos.ts'
import { getHostReport } from './methods/io.github.skywright.relay.getHostReport.ts'
import { listReposByCollections } from './methods/io.github.skywright.relay.listReposByCollections.ts'
import { updateHost } from './methods/io.github.skywright.relay.updateHost.ts'
import { recordNotice } from './notices.ts'
import { answerFailure, createPages } from './pages.ts'
import { PublicLists } from './public-lists.ts'
import { openRelayStore } from './store.ts'
import { serveStreams } from './streams.ts'
import { RelayTables } from './tables.ts'

/** What tests and other programs may replace. */
export interface RelayOverrides {
  readonly resolver?: IdentityResolver
  /** How names of hosts are looked up. Addresses outside the public internet are refused, whoever names them. */
  readonly resolveAddresses?: ResolveAddresses
  /** For URLs that strangers chose. */
  readonly fetch?: typeof globalThis.fetch
  /** How hosts are connected to. */
  readonly open?: OpenStream
  readonly logger?: Logger
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** A running relay. Disposing it closes every socket and the database, having written what was in flight. */
export interface RunningRelay extends AsyncDisposable {
  /** Base URL, with the port that was really taken. */
  readonly url: string
  readonly port: number
  /** Aborts, with the reason, when the relay cannot go on: its disk is full, say. */
  readonly failure: AbortSignal
  /** Cuts the replay window and lets account limits grow now; it happens every minute by itself. */
  keepHouse(): Promise<void>
}

/** A relay that follows hosts itself. */
export interface FollowingRelay extends RunningRelay {
  /**
   * Goes on learning from hosts which accounts they have, where the configuration wants it; it happens every minute by
   * itself, as far as any is due.
   */
  listHosts(): Promise<void>
}

/** Starts a relay: everything it is made of, connected. */
export async function startRelay(
  config: RelayConfig,
  overrides: RelayOverrides = {},
): Promise<FollowingRelay> {
  const { development } = config
  const { logger = createLogger('relay', config), now = Date.now, resolveAddresses } = overrides
  const guard = { dev: development, ...(resolveAddresses && { resolveAddresses }) }
  const {
    fetch = createSafeFetch(guard),
    open = createOpenWebSocket({
      headers: { 'user-agent': SERVER_NAME },
      lookup: createSafeLookup(guard),
    }),
  } = overrides
  await using stack = new AsyncDisposableStack()

  stack.use(lockFolder(config.dataDirectory))
  const database = stack.adopt(openDatabase(config.dataDirectory), (opened) => opened.close())
  const tables = new RelayTables(database)
  const log = stack.use(
    await openSegmentEventLog({
      folder: join(config.dataDirectory, 'log'),
      above: tables.appliedSeq,
      now,
      onDamage: (damage) => logger.error(damage, 'an event in the log is damaged'),
    }),
  )
  const identities = stack.use(
    openSqliteIdentityCache({ database: join(config.dataDirectory, 'identity.sqlite') }),
  )
  const {
    resolver = createNodeResolver({ plcUrl: config.plcUrl, dev: development, cache: identities }),
  } = overrides
  const reports = stack.use(
    new HostReports(database, {
      now,
      onError: (err) => logger.error({ err }, 'host reports could not be written'),
    }),
  )
  const collections = new CollectionIndex(database)
  const store = stack.use(await openRelayStore({ database, tables, collections, log }))

  const prover =
    config.verifyThreads === 0
      ? undefined
      : stack.use(createProverPool({ workers: config.verifyThreads }))

  const identity = createIdentitySource(resolver, { allowHttp: development, now })
  const failure = new AbortController()
  let problem: string | undefined
  const relay = stack.use(
    createRelay({
      store,
      log,
      identity,
      open,
      ...(prover && { prove: prover.prove }),
      clock: { ...systemClock, now },
      onNotice: (notice) => {
        recordNotice(notice, { reports, logger, store })
        if (notice.kind !== 'failure' || notice.hostname !== undefined) return
        problem = 'the relay cannot store events'
        failure.abort(notice.error)
      },
    }),
  )
  const baseAccountLimit = (hostname: string): number =>
    isUnderDomain(hostname, config.trustedDomains)
      ? config.trustedAccountLimit
      : config.accountLimit
  const follow: Follow = (host) =>
    relay.follow({
      ...host,
      enforcement: config.enforcement,
      accountLimit: baseAccountLimit(host.hostname),
    })
  const admission = new Admission({
    store,
    follow,
    countHostsAddedSince: (ms) => tables.countHostsAddedSince(ms),
    fetch,
    now,
    development,
    newHostsPerDay: config.newHostsPerDay,
    bannedDomains: config.bannedDomains,
  })

  const { serviceDid, adminDids, adminPassword } = config
  const admin = createAdminAuth({
    password: adminPassword,
    accounts: serviceDid === undefined ? undefined : { serviceDid, dids: adminDids, resolver },
    now,
  })
  const lists = new PublicLists(database)
  const router = createRouter({
    lexicons: relayLexicons,
    onError: (err, { nsid }) => logger.error({ err, nsid }, 'method failed'),
    health: () => ({ version: 'skywright' }),
  })
  router
    .add(requestCrawl({ admission, admin }))
    .add(subscribeRepos({ log }))
    .add(listRepos({ lists }))
    .add(getRepoStatus({ store, tables }))
    .add(getLatestCommit({ store, tables }))
    .add(getRepo({ store, exports: new ExportPacer({ now }) }))
    .add(listHosts({ lists }))
    .add(getHostStatus({ store }))
    .add(listReposByCollection({ collections }))
    .add(listReposByCollections({ collections }))
    .add(getHostReport({ store, reports }))
    .add(updateHost({ relay, admin, onLimitSet: (hostname) => tables.markLimitSet(hostname) }))
    .add(updateSubjectStatus({ relay, admin }))
    .add(getSubjectStatus({ store, admin }))

  const app = express()
    .disable('x-powered-by')
    // Only a proxy on this machine may say who is calling.
    .set('trust proxy', 'loopback')
    .use((_request, response, next) => {
      response.set('server', SERVER_NAME)
      next()
    })
    .use(createExpressHandler(router))
  const server = createServer(app)
  stack.defer(() => closeServer(server))
  const { maxSubscribers, jetstream, jetstreamDictionary } = config
  const subscribers = stack.use(
    serveStreams(server, log, { maxSubscribers, jetstream, jetstreamDictionary }),
  )
  app.use(
    createPages({
      tables,
      log,
      reports,
      subscribers: () => subscribers.size,
      problem: () => problem,
    }),
    answerFailure,
  )
  const { port, url } = await listen(server, config)

  relay.start()
  for (const text of config.initialHosts) {
    const host = parseHostname(text, { development })
    if (typeof host === 'string') logger.warn({ hostname: text, problem: host }, 'host skipped')
    else if (store.getHost(host.hostname) === undefined) void follow(host)
  }
  const clean = (): Promise<void> =>
    keepHouse({
      store,
      log,
      relay,
      reports,
      now,
      retentionHours: config.retentionHours,
      retentionBytes: config.retentionBytes,
      baseAccountLimit: (hostname) =>
        tables.isLimitSet(hostname) ? undefined : baseAccountLimit(hostname),
    })
  const housekeeping = setInterval(() => {
    clean().catch((err: unknown) => logger.error({ err }, 'housekeeping failed'))
  }, HOUSEKEEPING_MS)
  stack.defer(() => clearInterval(housekeeping))
  const hostListing = new HostListing({
    tables,
    listing: new ListingTable(database),
    collections,
    identity,
    fetch,
    now,
    sleep: (ms, signal) => systemClock.sleep(ms, signal),
    onProblem: ({ hostname, error }) => {
      logger.debug({ hostname, err: error }, 'a host does not say which accounts it has')
    },
  })
  const stopping = new AbortController()
  let listing: Promise<void> | undefined
  const listHostsNow = async (): Promise<void> => {
    if (!config.listHosts) return
    listing ??= hostListing.run(stopping.signal).finally(() => {
      listing = undefined
    })
    await listing
  }
  const askHosts = setInterval(() => {
    listHostsNow().catch((err: unknown) => logger.error({ err }, 'listing hosts failed'))
  }, HOUSEKEEPING_MS)
  stack.defer(async () => {
    clearInterval(askHosts)
    stopping.abort()
    await listing?.catch(() => undefined)
  })
  logger.info({ port, hosts: tables.countHostsByStatus() }, 'relay started')

  const running = stack.move()
  return {
    url,
    port,
    failure: failure.signal,
    keepHouse: clean,
    listHosts: listHostsNow,
    [Symbol.asyncDispose]: async () => {
      await running.disposeAsync()
      logger.info('relay stopped')
    },
  }
}
