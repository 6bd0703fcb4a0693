import { once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { serveNode } from '../src/adapters/node.ts'
import type { NodeServer } from '../src/adapters/node.ts'
import { attachSubscriptions } from '../src/adapters/ws.ts'
import type { AttachedSubscriptions, AttachOptions } from '../src/adapters/ws.ts'
import { XrpcError } from '../src/errors.ts'
import { decodeFrame, encodeErrorFrame, encodeMessageFrame } from '../src/frame.ts'
import type { Frame } from '../src/frame.ts'
import { createRouter } from '../src/router.ts'
import type { Router } from '../src/router.ts'
import { examples } from './documents.ts'
import type { ExampleDocuments } from './documents.ts'

interface Running extends AsyncDisposable {
  readonly url: string
  readonly http: Server
  readonly attached: AttachedSubscriptions
  readonly errors: unknown[]
}

type Handler = Parameters<typeof addListen>[1]

function addListen(
  router: Router<ExampleDocuments>,
  handler: (context: {
    params: { cursor?: number | undefined }
    signal: AbortSignal
  }) => AsyncIterable<Uint8Array | { $type: string; seq?: number }>,
): Router<ExampleDocuments> {
  return router.add('com.example.listen', { handler: handler as never })
}

async function start(handler: Handler, options: AttachOptions = {}): Promise<Running> {
  const errors: unknown[] = []
  const router = createRouter({ lexicons: examples, onError: (error) => errors.push(error) })
  addListen(router, handler)
  let attached: AttachedSubscriptions | undefined
  const server: NodeServer = await serveNode(router, {
    attach: (http) => (attached = attachSubscriptions(http, router, options)),
  })
  if (attached === undefined) throw new Error('not attached')
  return {
    url: server.url.replace('http', 'ws'),
    http: server.server,
    attached,
    errors,
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  }
}

interface Seen {
  readonly frames: Frame[]
  readonly code: number
  readonly reason: string
}

async function listenTo(url: string): Promise<Seen> {
  const socket = new WebSocket(url)
  const frames: Frame[] = []
  socket.on('message', (data: Buffer, isBinary) => {
    expect(isBinary).toBe(true)
    frames.push(decodeFrame(data))
  })
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
  return { frames, code, reason: reason.toString() }
}

/** Sends bytes and gives everything that comes back until the server closes. Never closes its own side. */
async function rawAnswer(url: string, request: string): Promise<{ status: number; body: string }> {
  const { port, hostname } = new URL(url)
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  socket.write(request)
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(socket, 'end')
  socket.destroy()
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1\.1 ([0-9]+) [A-Z]/.exec(head)?.[1]), body }
}

const HANDSHAKE = {
  host: 'localhost',
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

function upgradeRequest(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ ...HANDSHAKE, ...headers })
  return `${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

async function refused(url: string): Promise<number | undefined> {
  const socket = new WebSocket(url)
  socket.on('error', () => undefined)
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  response.resume()
  return response.statusCode
}

describe('attachSubscriptions', () => {
  it('sends messages and frames in order and closes normally', async () => {
    await using server = await start(async function* ({ params }) {
      yield { $type: '#tick', seq: params.cursor ?? 0 }
      yield { $type: 'com.example.listen#tick', seq: 2 }
      yield encodeMessageFrame('#tock', {})
    })
    const seen = await listenTo(`${server.url}/xrpc/com.example.listen?cursor=7`)
    expect(seen.frames).toEqual([
      { op: 1, type: '#tick', body: { seq: 7 } },
      { op: 1, type: '#tick', body: { seq: 2 } },
      { op: 1, type: '#tock', body: {} },
    ])
    expect(seen.code).toBe(1000)
  })

  it('turns a thrown error into an error frame', async () => {
    await using server = await start(async function* () {
      yield { $type: '#tock' }
      throw new XrpcError(400, 'FutureCursor', 'cursor is ahead')
    })
    const seen = await listenTo(`${server.url}/xrpc/com.example.listen`)
    expect(seen.frames[1]).toEqual({ op: -1, error: 'FutureCursor', message: 'cursor is ahead' })
    expect([seen.code, seen.reason]).toEqual([1008, 'FutureCursor'])
    expect(server.errors).toEqual([])
  })

  it('closes with the policy code after an encoded error frame too', async () => {
    await using server = await start(async function* () {
      yield encodeErrorFrame('FutureCursor', 'cursor is ahead')
    })
    const seen = await listenTo(`${server.url}/xrpc/com.example.listen`)
    expect(seen.frames).toEqual([{ op: -1, error: 'FutureCursor', message: 'cursor is ahead' }])
    expect([seen.code, seen.reason]).toEqual([1008, 'FutureCursor'])
  })

  it('hides the detail of other failures and reports them', async () => {
    await using server = await start(async function* () {
      yield { $type: 'com.example.other#tick' }
    })
    const seen = await listenTo(`${server.url}/xrpc/com.example.listen`)
    expect(seen.frames).toEqual([
      { op: -1, error: 'InternalServerError', message: 'internal server error' },
    ])
    expect(server.errors).toHaveLength(1)
  })

  it.each([
    ['/xrpc/com.example.listen?cursor=x', 400],
    ['/xrpc/com.example.getThing', 501],
    ['/xrpc/com.example.nope', 501],
    ['/elsewhere', 404],
  ])('refuses an upgrade of %s with %i', async (path, status) => {
    await using server = await start(async function* () {})
    expect(await refused(server.url + path)).toBe(status)
  })

  it.each([
    ['GET /xrpc/com.example.listen?cursor=x', {}, 400, 'InvalidRequest'],
    ['GET /xrpc/com.example.listen?cursor=1&cursor=2', {}, 400, 'InvalidRequest'],
    ['GET /xrpc/com.example.listen', { 'sec-websocket-key': 'short' }, 400, 'InvalidRequest'],
    ['GET /xrpc/com.example.listen', { 'sec-websocket-version': '7' }, 400, 'InvalidRequest'],
    ['GET /xrpc/com.example.listen', { 'sec-websocket-protocol': ',,' }, 400, 'InvalidRequest'],
    ['POST /xrpc/com.example.listen', { 'content-length': '0' }, 405, 'InvalidRequest'],
    ['GET /xrpc/com.example.nope', {}, 501, 'MethodNotImplemented'],
    ['GET /elsewhere', {}, 404, 'NotFound'],
  ])('tells why it refuses %s with %j', async (path, headers, status, error) => {
    await using server = await start(async function* () {})
    const answer = await rawAnswer(server.url, upgradeRequest(path, headers))
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.body)).toMatchObject({ error, message: expect.any(String) as string })
  })

  it('closes a refused socket whose other side stays half open', async () => {
    await using server = await start(async function* () {})
    const closed = new Promise((resolve) => {
      server.http.once('connection', (socket) => socket.once('close', resolve))
    })
    const { port, hostname } = new URL(server.url)
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
    socket.write(upgradeRequest('GET /elsewhere'))
    await closed
    socket.destroy()
  })

  it('serves a request that offers another protocol as if it had not', async () => {
    await using server = await start(async function* () {})
    const answer = await rawAnswer(
      server.url,
      upgradeRequest('GET /xrpc/_health', { upgrade: 'h2c', connection: 'close, Upgrade' }),
    )
    expect(answer.status).toBe(200)
  })

  it('aborts the handler when the client goes away', async () => {
    let aborted = false
    await using server = await start(async function* ({ signal }) {
      yield { $type: '#tock' }
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      aborted = true
    })
    const socket = new WebSocket(`${server.url}/xrpc/com.example.listen`)
    await once(socket, 'message')
    socket.terminate()
    await expect.poll(() => aborted).toBe(true)
    await expect.poll(() => server.attached.size).toBe(0)
  })

  it('says goodbye when the server stops, even to a handler that does not listen', async () => {
    const server = await start(async function* () {
      yield { $type: '#tock' }
      await new Promise<never>(() => undefined)
    })
    const socket = new WebSocket(`${server.url}/xrpc/com.example.listen`)
    await once(socket, 'message')
    const closed = once(socket, 'close')
    await server[Symbol.asyncDispose]()
    expect((await closed)[0]).toBe(1001)
  })

  it('ends a consumer that is too slow, with its memory bounded', async () => {
    let produced = 0
    let ended = false
    await using server = await start(
      async function* () {
        const frame = encodeMessageFrame('#tick', { seq: 1, blocks: new Uint8Array(100_000) })
        try {
          for (;;) {
            produced++
            yield frame
          }
        } finally {
          ended = true
        }
      },
      { maxBufferedBytes: 1_000_000, slowConsumerTimeoutMs: 100 },
    )
    const socket = new WebSocket(`${server.url}/xrpc/com.example.listen`)
    const frames: Frame[] = []
    socket.on('message', (data: Buffer) => {
      if (data.length < 1000) frames.push(decodeFrame(data))
    })
    await once(socket, 'open')
    socket.pause()
    await expect.poll(() => ended, { timeout: 10_000 }).toBe(true)
    socket.resume()
    const [code] = (await once(socket, 'close')) as [number]
    expect(code).toBe(1008)
    expect(frames.at(-1)).toMatchObject({ op: -1, error: 'ConsumerTooSlow' })
    expect(produced).toBeLessThan(500)
  })

  it('drops clients that send too much, ignores the rest', async () => {
    await using server = await start(async function* ({ signal }) {
      yield { $type: '#tock' }
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    })
    const socket = new WebSocket(`${server.url}/xrpc/com.example.listen`)
    await once(socket, 'message')
    socket.send('hello')
    socket.send(new Uint8Array(100_000))
    const [code] = (await once(socket, 'close')) as [number]
    expect(code).toBe(1009)
  })

  it('drops clients that answer no ping', async () => {
    await using server = await start(
      async function* ({ signal }) {
        yield { $type: '#tock' }
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      },
      { pingIntervalMs: 50 },
    )
    const socket = new WebSocket(`${server.url}/xrpc/com.example.listen`, { autoPong: false })
    await once(socket, 'message')
    const [code] = (await once(socket, 'close')) as [number]
    expect(code).toBe(1006)
  })

  it('passes other upgrades on', async () => {
    const paths: (string | undefined)[] = []
    await using server = await start(async function* () {}, {
      otherwise: (request, socket) => {
        paths.push(request.url)
        socket.end('HTTP/1.1 418 Teapot\r\n\r\n')
      },
    })
    expect(await refused(`${server.url}/elsewhere`)).toBe(418)
    expect(paths).toEqual(['/elsewhere'])
  })
})
