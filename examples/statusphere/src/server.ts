import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { Eta } from 'eta'
import express, { type ErrorRequestHandler, type Request } from 'express'
import { collection, createRelay, openIndexer } from '@skywright/appview-indexer'
import { openLiveView, text } from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { createNodeResolver, createSafeFetch } from '@skywright/identity/node'
import { AuthRequiredError, ForbiddenError, NotFoundError } from '@skywright/xrpc'
import { createCatalog, createClient, createSignIns, type Session } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { listenNode } from '@skywright/xrpc/node'
import { describeFailure } from './failure.ts'
import { statusLexicon } from './lexicon.ts'
import type { Statusphere, StatusphereOptions } from './statusphere.ts'

export type { Statusphere, StatusphereOptions }

const folder = (name: string): string => join(import.meta.dirname, '..', name)
/** Only what this server sends is loaded or run, nobody frames it, and its forms lead back to it. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** Starts the app: resolves when it answers requests; the index catches up meanwhile. */
export async function startStatusphere(options: StatusphereOptions): Promise<Statusphere> {
  const { data, dev, relay: service, plc: plcUrl, onIssue } = options
  const fetch = createSafeFetch({ dev })
  const { resolver = createNodeResolver({ plcUrl, dev, publicFetch: fetch }) } = options
  await using started = new AsyncDisposableStack()
  await mkdir(data, { recursive: true })
  const relay = createRelay({ service, resolver, fetch, allowHttp: dev, onIssue })
  const columns = { status: text('status', { required: true, index: true }) }
  const index = started.use(
    await openIndexer({
      ...relay,
      store: openSqliteIndexStore(join(data, 'statuses.sqlite')),
      collections: { status: collection(statusLexicon.id, { columns }) },
      lexicons: createCatalog(statusLexicon),
      onIssue,
    }),
  )
  index.run(relay.source).catch(onIssue)

  const eta = new Eta({ views: folder('views') })

  const board = started.use(await openLiveView(index, { render: renderBoard, onError: onIssue }))
  async function renderBoard(): Promise<string> {
    const { rows } = await index.select('status').page({ limit: 40 })
    const actors = await index.actors(rows.map(({ did }) => did))
    const counts = await index.sql(
      'SELECT status, count(*) AS n FROM status WHERE state = 0 GROUP BY status ORDER BY n DESC, status LIMIT 24',
    )
    return eta.render('board', { rows, actors, counts })
  }
  const signIns = createSignIns({ resolver, fetch })
  const secretOf = (request: Request): string =>
    /(?:^|; )statusphere=([\w-]{43})(?:;|$)/.exec(request.get('cookie') ?? '')?.[1] ?? ''
  async function renderPage(request: Request, problem?: string): Promise<string> {
    const viewer = signIns.get(secretOf(request))
    const latest = viewer && (await index.select('status').where({ did: viewer.did }).first())
    return eta.render('page', { board: board.current, viewer, latest, problem })
  }
  async function writeStatus({ did: repo, service, fetch }: Session, text: unknown): Promise<void> {
    const { id: collection } = statusLexicon
    const record = { $type: collection, status: text, createdAt: new Date().toISOString() }
    const lexicons = atproto.with(statusLexicon)
    lexicons.validateRecord(collection, record)
    const client = createClient({ service, lexicons, fetch })
    const input = { repo, collection, record }
    const { uri } = await client.procedure('com.atproto.repo.createRecord', input)
    // The next page shows it, with the handle of who wrote it, unless that takes longer than a second.
    for await (const html of board.follow({ signal: AbortSignal.timeout(1_000) }))
      if (html.includes(uri) && html.includes(`title="${repo}">@`)) break
  }

  const app = express().disable('x-powered-by').set('trust proxy', 'loopback')
  app.use((_request, response, next) => (response.set(HEADERS), next()))
  app.use(express.static(folder('public'), { cacheControl: false }))
  app.get('/', async (request, response) => void response.send(await renderPage(request)))
  app.get('/live', async (_request, response) => {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    response.set({ 'content-type': 'text/event-stream', connection: 'close' })
    for await (const html of board.follow(gone))
      // JSON, because the lines of an event end at line ends. Who is slow gets the latest when it can.
      if (!response.write(`data: ${JSON.stringify(html)}\n\n`))
        await once(response, 'drain', gone).catch(() => gone.abort())
    response.end()
  })
  /** Browsers say where a form comes from. Those of other sites, other ports of this host included, change nothing. */
  app.post('/{*path}', (request, _response, next) => {
    const site = request.get('sec-fetch-site')
    const own = `${request.protocol}://${request.host}`
    if (site === undefined ? request.get('origin') === own : site === 'same-origin') next()
    else throw new ForbiddenError('This form was sent from another site.')
  })
  app.use(express.urlencoded({ extended: false, limit: 4_096 }))
  app.post('/login', async (request, response) => {
    const { identifier, password } = (request.body ?? {}) as Readonly<Record<string, unknown>>
    const login = { identifier: String(identifier), password: String(password) }
    const secret = await signIns.signIn({ ...login, address: request.ip })
    const cookie = { httpOnly: true, sameSite: 'lax', secure: request.secure } as const
    response.cookie('statusphere', secret, { ...cookie, maxAge: signIns.ttlMs }).redirect(303, '/')
  })
  app.post('/logout', async (request, response) => {
    await signIns.signOut(secretOf(request)).catch(onIssue)
    response.clearCookie('statusphere').redirect(303, '/')
  })
  app.post('/status', async (request, response) => {
    const session = signIns.get(secretOf(request))
    if (session === undefined) throw new AuthRequiredError('Please sign in first.')
    await writeStatus(session, (request.body as { status?: unknown } | undefined)?.status)
    response.redirect(303, '/')
  })
  app.use(() => {
    throw new NotFoundError('There is nothing here.')
  })
  app.use((async (error: unknown, request, response, next) => {
    const [status, problem] = describeFailure(error)
    if (status === 500) onIssue(error)
    if (response.headersSent) next(error)
    else response.status(status).send(await renderPage(request, problem))
  }) satisfies ErrorRequestHandler)

  const { url } = started.use(await listenNode(createServer(app), options))
  started.defer(() => board[Symbol.asyncDispose]())
  const running = started.move()
  return { url, index, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
