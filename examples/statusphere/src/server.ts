import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import express, { type ErrorRequestHandler, type Request } from 'express'
import { type Logger, pino } from 'pino'
import type { IdentityResolver } from '@skywright/identity'
import { createNodeResolver, createSafeFetch } from '@skywright/identity/node'
import { createClient } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { closeServer } from '@skywright/xrpc/node'
import { fieldOf, PAGE_HEADERS, sameOriginOnly } from './browser.ts'
import { startBoard } from './board.ts'
import type { StatusphereConfig } from './config.ts'
import { describeFailure, RefusedError } from './failure.ts'
import { statusLexicon } from './lexicon.ts'
import { renderPage } from './page.ts'
import { createSignIns, SIGN_IN_TTL_MS } from './sign-ins.ts'
import { openStatusIndex, type StatusIndex } from './status-index.ts'

/** A running statusphere. Disposing it stops the stream and closes the index. */
export interface Statusphere extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string
  readonly index: StatusIndex
}

/** Parts that a test or another server replaces. */
export interface StatusphereOverrides {
  /** @defaultValue one over the configured PLC directory, DNS and HTTPS */
  readonly resolver?: IdentityResolver
  /** For URLs that strangers chose. @defaultValue a fetch that refuses private addresses, unless `dev` */
  readonly fetch?: typeof globalThis.fetch
  /** @defaultValue JSON lines to standard output */
  readonly logger?: Logger
}

const COOKIE = 'statusphere'
/** A form is a handle and a password, or an emoji. */
const MAX_FORM_BYTES = 4_096
/** How long the answer to a write waits for the index, so that the next page shows it. */
const VISIBLE_WITHIN_MS = 1_000
/** Starts the app: resolves when it answers requests; the index catches up meanwhile. */
export async function startStatusphere(
  config: StatusphereConfig,
  overrides: StatusphereOverrides = {},
): Promise<Statusphere> {
  const { dev, plcUrl } = config
  const { id } = statusLexicon
  const lexicons = atproto.with(statusLexicon)
  const {
    fetch = createSafeFetch({ dev }),
    resolver = createNodeResolver({ plcUrl, dev, publicFetch: fetch }),
    logger = pino({ name: 'statusphere', level: config.logLevel }),
  } = overrides
  await using started = new AsyncDisposableStack()
  const stop = new AbortController()
  await mkdir(config.dataDirectory, { recursive: true })
  const index = started.use(
    await openStatusIndex({ config, resolver, fetch, logger, signal: stop.signal }),
  )
  started.defer(() => stop.abort())
  const app = express()
  const server = createServer(app)
  started.defer(() => closeServer(server))
  const board = started.use(await startBoard(index, logger))
  const signIns = createSignIns(resolver, fetch)

  async function page(request: Request, problem?: string): Promise<string> {
    const signedIn = signIns.get(secretOf(request))
    const view = { board: board.html, problem }
    if (signedIn === undefined) return renderPage(view).text
    const { did } = signedIn.session
    const latest = await index.select('status').where({ did }).first()
    const viewer = { did, handle: signedIn.handle, status: latest?.status }
    return renderPage({ ...view, viewer }).text
  }

  app.disable('x-powered-by')
  app.set('trust proxy', 'loopback')
  app.use((_request, response, next) => {
    response.set(PAGE_HEADERS)
    next()
  })
  app.use(express.static(join(import.meta.dirname, '../public'), { cacheControl: false }))
  app.get('/', async (request, response) => void response.send(await page(request)))
  app.get('/live', (_request, response) => board.listen(response))
  const readForm = express.urlencoded({ extended: false, limit: MAX_FORM_BYTES })
  app.post(['/login', '/logout', '/status'], sameOriginOnly, readForm)

  app.post('/login', async (request, response) => {
    const identifier = fieldOf(request, 'identifier').trim().replace(/^@/, '')
    const secret = await signIns.signIn(identifier, fieldOf(request, 'password'), request.ip ?? '')
    response.cookie(COOKIE, secret, {
      httpOnly: true,
      sameSite: 'lax',
      secure: request.secure,
      maxAge: SIGN_IN_TTL_MS,
    })
    response.redirect(303, '/')
  })

  app.post('/logout', async (request, response) => {
    const told = signIns.signOut(secretOf(request))
    await told.catch((error: unknown) => logger.warn({ err: error }, 'sign-out'))
    response.clearCookie(COOKIE).redirect(303, '/')
  })

  app.post('/status', async (request, response) => {
    const signedIn = signIns.get(secretOf(request))
    if (signedIn === undefined) throw new RefusedError(401, 'Please sign in first.')
    const { did: repo, service, fetch: send } = signedIn.session
    const record = {
      $type: id,
      status: fieldOf(request, 'status'),
      createdAt: new Date().toISOString(),
    }
    lexicons.validateRecord(id, record)
    const client = createClient({ service, lexicons, fetch: send })
    const input = { repo, collection: id, record }
    const { uri } = await client.procedure('com.atproto.repo.createRecord', input)
    const query = index.select('status').where({ uri })
    const signal = AbortSignal.timeout(VISIBLE_WITHIN_MS)
    for await (const rows of query.live({ limit: 1, signal })) if (rows.length > 0) break
    response.redirect(303, '/')
  })

  app.use((_request, _response, next) => next(new RefusedError(404, 'There is nothing here.')))
  app.use((async (error: unknown, request, response, next) => {
    const { status, problem } = describeFailure(error)
    if (status === 500) logger.error({ err: error }, 'request')
    if (response.headersSent) next(error)
    else response.status(status).send(await page(request, problem))
  }) satisfies ErrorRequestHandler)

  server.listen(config.port, config.host)
  await once(server, 'listening')
  // A TCP server's address is never the text of a pipe.
  const { port } = server.address() as AddressInfo
  const url = `http://${dev && config.host === '127.0.0.1' ? 'localhost' : config.host}:${port}`
  logger.info({ url, relay: config.relay }, 'listening')
  const running = started.move()
  return { url, index, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

function secretOf(request: Request): string {
  return /(?:^|; )statusphere=([\w-]{43})(?:;|$)/.exec(request.get('cookie') ?? '')?.[1] ?? ''
}
