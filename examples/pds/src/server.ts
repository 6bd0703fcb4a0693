import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openSqliteEventLog } from '@skywright/firehose/sqlite'
import type { IdentityResolver } from '@skywright/identity'
import { importPrivateKey } from '@skywright/identity/keys'
import { createNodeResolver, createSafeFetch } from '@skywright/identity/node'
import { createPlcClient } from '@skywright/identity/plc'
import { createTidClock, type EventSink } from '@skywright/repo'
import { openSqliteRepoStore } from '@skywright/repo/sqlite'
import {
  createRouter,
  createServiceAuthVerifier,
  type Router,
  type XrpcMethod,
} from '@skywright/xrpc'
import { createExpressHandler } from '@skywright/xrpc/express'
import { atproto, type AtprotoDocuments } from '@skywright/xrpc/lexicons'
import { closeServer } from '@skywright/xrpc/node'
import { attachSubscriptions } from '@skywright/xrpc/ws'
import express from 'express'
import { createSessionView } from './accounts/account-view.ts'
import { openAccountStore } from './accounts/account-store.ts'
import { openConfirmationStore } from './accounts/confirmation-store.ts'
import { createAccountCreation, settlePendingAccounts } from './accounts/create-account.ts'
import { createForgetAccount } from './accounts/remove-account.ts'
import { createSendConfirmation } from './accounts/send-confirmation.ts'
import { openBlobStore } from './blobs/blob-store.ts'
import type { PdsConfig } from './config.ts'
import { createCrawlNotifier } from './crawl-notifier.ts'
import { openDatabase } from './database.ts'
import { startHousekeeping } from './housekeeping.ts'
import { createLog, type Logger } from './log.ts'
import { logCalls } from './log-calls.ts'
import { getPreferences } from './methods/app.bsky.actor.getPreferences.ts'
import { putPreferences } from './methods/app.bsky.actor.putPreferences.ts'
import { getFeed } from './methods/app.bsky.feed.getFeed.ts'
import { getRecommendedDidCredentials } from './methods/com.atproto.identity.getRecommendedDidCredentials.ts'
import { requestPlcOperationSignature } from './methods/com.atproto.identity.requestPlcOperationSignature.ts'
import { resolveHandle } from './methods/com.atproto.identity.resolveHandle.ts'
import { signPlcOperation } from './methods/com.atproto.identity.signPlcOperation.ts'
import { submitPlcOperation } from './methods/com.atproto.identity.submitPlcOperation.ts'
import { updateHandle } from './methods/com.atproto.identity.updateHandle.ts'
import { applyWrites } from './methods/com.atproto.repo.applyWrites.ts'
import { createRecord } from './methods/com.atproto.repo.createRecord.ts'
import { deleteRecord } from './methods/com.atproto.repo.deleteRecord.ts'
import { describeRepo } from './methods/com.atproto.repo.describeRepo.ts'
import { getRecord } from './methods/com.atproto.repo.getRecord.ts'
import { importRepo } from './methods/com.atproto.repo.importRepo.ts'
import { listMissingBlobs } from './methods/com.atproto.repo.listMissingBlobs.ts'
import { listRecords } from './methods/com.atproto.repo.listRecords.ts'
import { putRecord } from './methods/com.atproto.repo.putRecord.ts'
import { uploadBlob } from './methods/com.atproto.repo.uploadBlob.ts'
import { activateAccount } from './methods/com.atproto.server.activateAccount.ts'
import { checkAccountStatus } from './methods/com.atproto.server.checkAccountStatus.ts'
import { createAccount } from './methods/com.atproto.server.createAccount.ts'
import { createAppPassword } from './methods/com.atproto.server.createAppPassword.ts'
import { createSession } from './methods/com.atproto.server.createSession.ts'
import { deactivateAccount } from './methods/com.atproto.server.deactivateAccount.ts'
import { deleteAccount } from './methods/com.atproto.server.deleteAccount.ts'
import { deleteSession } from './methods/com.atproto.server.deleteSession.ts'
import { describeServer } from './methods/com.atproto.server.describeServer.ts'
import { getServiceAuth } from './methods/com.atproto.server.getServiceAuth.ts'
import { getSession } from './methods/com.atproto.server.getSession.ts'
import { listAppPasswords } from './methods/com.atproto.server.listAppPasswords.ts'
import { refreshSession } from './methods/com.atproto.server.refreshSession.ts'
import { requestAccountDelete } from './methods/com.atproto.server.requestAccountDelete.ts'
import { revokeAppPassword } from './methods/com.atproto.server.revokeAppPassword.ts'
import { getBlob } from './methods/com.atproto.sync.getBlob.ts'
import { getLatestCommit } from './methods/com.atproto.sync.getLatestCommit.ts'
import { getRecordProof } from './methods/com.atproto.sync.getRecord.ts'
import { getRepo } from './methods/com.atproto.sync.getRepo.ts'
import { getRepoStatus } from './methods/com.atproto.sync.getRepoStatus.ts'
import { listBlobs } from './methods/com.atproto.sync.listBlobs.ts'
import { listRepos } from './methods/com.atproto.sync.listRepos.ts'
import { subscribeRepos } from './methods/com.atproto.sync.subscribeRepos.ts'
import { openPreferenceStore } from './preferences.ts'
import { createProxyFallback } from './proxy/proxy-fallback.ts'
import { createServiceProxy } from './proxy/service-proxy.ts'
import { createRateLimits } from './rate-limits.ts'
import { isBlobReferenced } from './repos/repo-facts.ts'
import { createRepoHost } from './repos/repo-host.ts'
import { createRecordWriter } from './repos/write-records.ts'
import { loadSecrets } from './secrets.ts'
import { openAppPasswordStore } from './sessions/app-password-store.ts'
import { createAuth } from './sessions/auth.ts'
import { createSessionIssuer } from './sessions/issue-session.ts'
import { openSessionStore } from './sessions/session-store.ts'
import { serviceDid } from './service-did.ts'
import { wellKnown } from './well-known.ts'

/** Identities kept in memory; a PDS asks for those of its own accounts and of the services it passes requests to. */
const MAX_CACHED_IDENTITIES = 10_000

/** What a test or a sandbox may put in the place of the real world. */
export interface PdsDependencies {
  /** Milliseconds since 1970. @defaultValue Date.now */
  readonly now?: () => number
  /** For the PLC directory, the relays and the AppView. @defaultValue globalThis.fetch */
  readonly fetch?: typeof globalThis.fetch
  /** @defaultValue a resolver over DNS, HTTPS and the configured directory */
  readonly resolver?: IdentityResolver
  /** @defaultValue JSON lines on standard output */
  readonly log?: Logger
}

/** A running server. Disposing it finishes what is under way, then closes sockets and files. */
export interface Pds extends AsyncDisposable {
  /** Where the world reaches it. */
  readonly url: string
  /** Port it listens on. */
  readonly port: number
  /** Its own DID, a did:web. */
  readonly did: string
  /** Deletes what outlived its use (temporary blobs, expired sessions, old events); runs hourly by itself. */
  housekeep(): Promise<void>
}

/**
 * Starts a server and resolves once it answers.
 *
 * @throws what Node throws when the folder cannot be written or the port is taken.
 */
export async function startPds(
  config: PdsConfig,
  dependencies: PdsDependencies = {},
): Promise<Pds> {
  const {
    now = Date.now,
    fetch = globalThis.fetch,
    log = createLog(config.logLevel),
  } = dependencies
  const { dataDirectory, dev, appView, maxBlobBytes } = config
  await using resources = new AsyncDisposableStack()

  const database = openDatabase(dataDirectory, config.durability)
  resources.defer(() => database.close())
  const secrets = loadSecrets(dataDirectory, config)
  const accounts = openAccountStore(database)
  const sessions = openSessionStore(database)
  const appPasswords = openAppPasswordStore(database)
  const preferences = openPreferenceStore(database)
  const events = resources.use(openSqliteEventLog({ database, now }))
  // Told when events became durable; what it does is known further down.
  let onPublished = (): void => undefined
  const sink: EventSink = {
    append: (did, encode) => events.append(did, encode),
    committed: () => {
      events.committed()
      onPublished()
    },
    rolledBack: () => events.rolledBack(),
  }
  const store = openSqliteRepoStore({ database, events: sink })
  resources.defer(() => store.close())
  const blobs = openBlobStore({
    database,
    directory: join(dataDirectory, 'blobs'),
    maxBytes: maxBlobBytes,
    isReferenced: (account, cid) => isBlobReferenced(store, account, cid),
    now,
  })
  const confirmations = openConfirmationStore(database)
  const forget = createForgetAccount({
    database,
    accounts,
    sessions,
    appPasswords,
    preferences,
    confirmations,
    blobs,
  })
  await settlePendingAccounts(accounts, { store, forget })

  const http = await listen(config.host, config.port)
  resources.defer(() => closeServer(http))
  // A TCP server that listens has an address of this kind.
  const { port } = http.address() as AddressInfo
  const url = config.publicUrl ?? `http://localhost:${port}`
  const did = serviceDid(url)
  const handleDomains = config.handleDomains ?? [`.${new URL(url).hostname}`]
  const resolver =
    dependencies.resolver ??
    createNodeResolver({
      plcUrl: config.plcUrl,
      dev,
      now,
      maxEntries: MAX_CACHED_IDENTITIES,
      ...(dependencies.fetch && { fetch }),
    })

  let subscribers = 0
  const crawl = resources.use(
    createCrawlNotifier({
      relays: config.relays,
      hostname: new URL(url).host,
      fetch,
      now,
      delay: (ms, signal) => delay(ms, undefined, { signal, ref: false }),
      onAttempt: ({ relay, attempt, error }) =>
        error === undefined
          ? log.info({ relay, attempt }, 'relay will crawl')
          : log.warn({ relay, attempt, err: error }, 'relay did not accept requestCrawl'),
    }),
  )
  onPublished = () => {
    if (subscribers === 0) crawl.publishedUnheard()
  }
  const repos = createRepoHost({ database, store, sink, clock: createTidClock({ now }), now })
  const serviceAuth = createServiceAuthVerifier({
    audience: [did, `${did}#atproto_pds`],
    resolver,
    now,
  })
  const secret = secrets.jwtSecret
  const auth = createAuth({ accounts, secret, serviceDid: did, serviceAuth, now })
  const issuer = createSessionIssuer({ sessions, appPasswords, secret, serviceDid: did, now })
  const plc = createPlcClient({ url: config.plcUrl, fetch })
  const rotationKey = importPrivateKey('k256', secrets.plcRotationKey)
  const publicUrl = url
  const view = createSessionView({ resolver, publicUrl })
  const create = createAccountCreation({
    accounts,
    repos,
    plc,
    resolver,
    rotationKey,
    publicUrl,
    handleDomains,
    inviteCode: config.inviteCode,
    now,
  })
  const limits = createRateLimits({ enabled: config.rateLimits, now })
  const sendConfirmation = createSendConfirmation({
    confirmations,
    limiter: limits.confirmations,
    log,
    now,
  })
  const write = limits.writes(createRecordWriter({ accounts, repos, blobs, lexicons: atproto }))
  const keys = createTidClock({ now })
  const proxy = createServiceProxy({
    appView,
    audience: config.proxyAudience,
    resolver,
    fetch,
    safeFetch: createSafeFetch({ dev }),
    dev,
    now,
  })
  const methods: readonly XrpcMethod[] = [
    describeServer({
      serviceDid: did,
      handleDomains,
      inviteCodeRequired: config.inviteCode !== undefined,
    }),
    createAccount({ auth, create, sessions: issuer, view, resolver, limiter: limits.signUps }),
    createSession({ accounts, appPasswords, sessions: issuer, view, limiter: limits.logins }),
    refreshSession({ auth, sessions: issuer, view }),
    getSession({ auth, view }),
    deleteSession({ auth, sessions }),
    createAppPassword({ auth, appPasswords, now }),
    listAppPasswords({ auth, appPasswords }),
    revokeAppPassword({ auth, appPasswords, sessions }),
    getServiceAuth({ auth, now }),
    activateAccount({ auth, accounts, repos, resolver, publicUrl, allowHttp: dev }),
    deactivateAccount({ auth, accounts, repos }),
    requestAccountDelete({ auth, sendConfirmation }),
    deleteAccount({ accounts, repos, confirmations, forget, limiter: limits.logins, now }),
    checkAccountStatus({ auth, repos, blobs, preferences, resolver, publicUrl, allowHttp: dev }),
    getRecommendedDidCredentials({ auth, rotationKey: rotationKey.didKey, publicUrl }),
    updateHandle({
      auth,
      accounts,
      repos,
      resolver,
      plc,
      rotationKey,
      handleDomains,
      limiter: limits.handles,
    }),
    requestPlcOperationSignature({ auth, sendConfirmation }),
    signPlcOperation({ auth, confirmations, plc, rotationKey, now }),
    submitPlcOperation({
      auth,
      accounts,
      repos,
      plc,
      resolver,
      rotationKey: rotationKey.didKey,
      publicUrl,
      limiter: limits.handles,
    }),
    resolveHandle({ accounts, resolver, handleDomains }),
    createRecord({ auth, write, keys }),
    putRecord({ auth, write }),
    deleteRecord({ auth, write }),
    applyWrites({ auth, write, keys }),
    getRecord({ auth, accounts, repos, proxy }),
    listRecords({ auth, accounts, repos }),
    describeRepo({ auth, accounts, repos, resolver }),
    uploadBlob({ auth, blobs, maxBlobBytes, limiter: limits.uploads }),
    importRepo({ auth, accounts, repos }),
    listMissingBlobs({ auth, blobs, repos }),
    getBlob({ auth, accounts, blobs, repos }),
    listBlobs({ auth, accounts, repos }),
    getRepo({ auth, accounts, repos }),
    getRecordProof({ auth, accounts, repos }),
    getLatestCommit({ auth, accounts, repos }),
    getRepoStatus({ accounts, repos }),
    listRepos({ accounts, repos }),
    subscribeRepos({ log: events, onSubscribers: (change) => (subscribers += change) }),
    getPreferences({ auth, preferences }),
    putPreferences({ auth, preferences }),
    getFeed({ auth, proxy }),
  ]
  const router: Router<AtprotoDocuments> = createRouter({
    lexicons: atproto,
    maxBinaryBytes: maxBlobBytes,
    middleware: [logCalls(log), limits.calls],
    onError: (error, { nsid }) => log.error({ err: error, nsid }, 'call failed'),
    health: () => {
      database.prepare('SELECT 1').get()
      return { version: 'skywright' }
    },
  })
  for (const method of methods) router.add(method)
  router.fallback(createProxyFallback({ auth, proxy }))

  const app = express()
  app.disable('x-powered-by')
  app.set('trust proxy', config.trustProxy)
  app.use(createExpressHandler(router))
  app.use(wellKnown({ accounts, did, url }))
  http.on('request', app)
  resources.use(attachSubscriptions(http, router))
  const housekeeping = resources.use(
    startHousekeeping({ blobs, sessions, confirmations, events, repos, now, log }),
  )
  crawl.start()
  log.info({ url, did, port }, 'started')

  const owned = resources.move()
  return {
    url,
    port,
    did,
    housekeep: () => housekeeping.run(),
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync()
      log.info('stopped')
    },
  }
}

async function listen(host: string, port: number): Promise<Server> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return server
}
