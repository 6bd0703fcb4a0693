/** Handlers, streams and callbacks that misbehave: the caller still gets an answer, and the process stays up. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import express from 'express'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createExpressHandler } from '../src/adapters/express.ts'
import { createNodeHandler, serveNode } from '../src/adapters/node.ts'
import { attachSubscriptions } from '../src/adapters/ws.ts'
import { XrpcError } from '../src/errors.ts'
import { decodeFrame } from '../src/frame.ts'
import { reply } from '../src/method.ts'
import { createRouter } from '../src/router.ts'
import type { Router } from '../src/router.ts'
import { examples } from './documents.ts'
import type { ExampleDocuments } from './documents.ts'

type Result = Promise<never>

/** A router whose methods do what the test says. */
function failing(
  run: () => unknown,
  onError: (error: unknown) => unknown = () => undefined,
): Router<ExampleDocuments> {
  return createRouter({ lexicons: examples, onError })
    .add('com.example.getThing', { handler: () => run() as Result })
    .add('com.example.download', { handler: () => run() as Result })
}

const THING = 'http://localhost/xrpc/com.example.getThing?name=a'
const DOWNLOAD = '/xrpc/com.example.download?size=5'

async function statusAndError(router: Router<ExampleDocuments>): Promise<unknown[]> {
  const response = await router.fetch(new Request(THING))
  return [response.status, await response.json()]
}

const internal = [500, { error: 'InternalServerError', message: 'internal server error' }]

/** What cannot be caught anywhere would end the process. */
function watchUnhandled(): unknown[] {
  const seen: unknown[] = []
  const listener = (reason: unknown): void => void seen.push(reason)
  process.on('unhandledRejection', listener)
  onTestFinished(() => void process.off('unhandledRejection', listener))
  return seen
}

async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a handler', () => {
  it.each([
    ['undefined', undefined],
    ['null', null],
    ['text', 'secret'],
    ['a number', 7],
    ['a symbol', Symbol('secret')],
    ['an object that looks like one', { status: 400, error: 'Secret', message: 'secret' }],
    ['an object without a prototype', Object.create(null)],
    ['a function', () => 'secret'],
    ['an aggregate', new AggregateError([new Error('secret')])],
  ])('that throws %s fails with 500 and tells nothing', async (_what, thrown) => {
    const seen: unknown[] = []
    const router = failing(
      () => {
        throw thrown
      },
      (error) => seen.push(error),
    )
    expect(await statusAndError(router)).toEqual(internal)
    expect(seen).toEqual([thrown])
  })

  it.each([
    ['a status that means no body', () => reply({ a: 1 }, { status: 204 })],
    ['text under 304', () => reply('text', { status: 304 })],
    ['an error that is no failure to HTTP', () => Promise.reject(new XrpcError(205, 'Odd'))],
    ['a header that is not text', () => reply({}, { headers: { 'x-a': undefined as never } })],
    ['a header list', () => reply({}, { headers: { 'x-a': ['1', '2'] as never } })],
  ])('that answers with %s fails with 500', async (_what, run) => {
    const seen: unknown[] = []
    const router = failing(run, (error) => seen.push(error))
    expect(await statusAndError(router)).toEqual(internal)
    expect(seen).toHaveLength(1)
    await using server = await serveNode(router)
    const response = await fetch(THING.replace('http://localhost', server.url))
    expect([response.status, await response.json()]).toEqual(internal)
  })

  it('may spell headers as it likes, and none is sent twice', async () => {
    const headers = { 'Content-Type': 'text/plain', 'X-Mine': 'a', 'Content-Length': '99' }
    for (const body of ['text', bytes(99)]) {
      const router = failing(() => reply(body, { headers }))
      await using server = await serveNode(router)
      const response = await fetch(THING.replace('http://localhost', server.url))
      expect(response.headers.get('content-type')).toBe('text/plain')
      expect(response.headers.get('x-mine')).toBe('a')
      expect(response.headers.get('content-length')).toBe(typeof body === 'string' ? '4' : '99')
      await response.arrayBuffer()
    }
  })

  it('may answer without a body where the status wants none', async () => {
    const router = failing(() => reply(undefined, { status: 304, headers: { etag: '"a"' } }))
    await using server = await serveNode(router)
    const url = THING.replace('http://localhost', server.url)
    for (const response of [await router.fetch(new Request(THING)), await fetch(url)]) {
      expect([response.status, response.headers.get('etag')]).toEqual([304, '"a"'])
      expect(response.headers.get('content-length')).toBeNull()
    }
  })

  it('that answers with what fetch got passes on the decoded body, not how it travelled', async () => {
    const upstream = createServer((_request, response) => {
      const zipped = gzipSync(JSON.stringify({ name: 'é'.repeat(1000) }))
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
      response.writeHead(200, { ...headers, 'content-length': zipped.length, 'x-mine': 'kept' })
      response.end(zipped)
    })
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    onTestFinished(() => void upstream.close())
    const router = failing(async () =>
      fetch(`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`),
    )
    await using server = await serveNode(router)
    const response = await fetch(THING.replace('http://localhost', server.url))
    expect(await response.json()).toEqual({ name: 'é'.repeat(1000) })
    expect(response.headers.get('x-mine')).toBe('kept')
    const web = await router.fetch(new Request(THING))
    expect([web.headers.get('content-encoding'), web.headers.get('content-length')]).toEqual([
      null,
      null,
    ])
    upstream.closeAllConnections()
  })
})

describe('onError', () => {
  it.each([
    ['throws', () => raise(new Error('full'))],
    ['throws text', () => raise('text')],
    ['rejects', async () => raise(new Error('the log is full'))],
  ])('that %s costs nobody an answer', async (_what, onError) => {
    const unhandled = watchUnhandled()
    const router = failing(() => raise(new Error('first')), onError)
    expect(await statusAndError(router)).toEqual(internal)
    await using server = await serveNode(router)
    const response = await fetch(THING.replace('http://localhost', server.url))
    expect([response.status, await response.json()]).toEqual(internal)
    await settle()
    expect(unhandled).toEqual([])
  })

  it('that throws leaves a subscription its error frame', async () => {
    const router = createRouter({ lexicons: examples, onError: () => raise(new Error('full')) })
    router.add('com.example.listen', {
      // eslint-disable-next-line require-yield
      handler: async function* () {
        throw new Error('first')
      },
    })
    await using server = await serveNode(router, {
      attach: (http) => attachSubscriptions(http, router),
    })
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/xrpc/com.example.listen`)
    socket.binaryType = 'arraybuffer'
    const [event] = (await once(socket, 'message')) as [MessageEvent<ArrayBuffer>]
    expect(decodeFrame(new Uint8Array(event.data))).toMatchObject({
      op: -1,
      error: 'InternalServerError',
    })
    await once(socket, 'close')
  })
})

describe('a stream', () => {
  it.each(['text', undefined, null, 7, {}])(
    'whose chunk is %j breaks off and is reported',
    async (chunk) => {
      const unhandled = watchUnhandled()
      const seen: unknown[] = []
      let released = false
      const router = failing(
        async function* () {
          try {
            yield new Uint8Array(3)
            yield chunk
          } finally {
            released = true
          }
        },
        (error) => seen.push(error),
      )
      await using server = await serveNode(router)
      const call = fetch(server.url + DOWNLOAD).then(async (response) => response.arrayBuffer())
      await expect(call).rejects.toThrow(TypeError)
      const web = await router.fetch(new Request(`http://localhost${DOWNLOAD}`))
      await expect(web.arrayBuffer()).rejects.toThrow('chunk')
      expect(seen.map(String)).toEqual(Array(2).fill(expect.stringContaining('chunk')))
      expect(released).toBe(true)
      await settle()
      expect(unhandled).toEqual([])
    },
  )

  it.each([3, 9])('of 5 bytes that claims %d never runs into the next answer', async (claimed) => {
    const router = failing(() =>
      reply(bytes(5), { headers: { 'content-length': String(claimed) } }),
    )
    await using server = await serveNode(router)
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    const get = `GET ${DOWNLOAD} HTTP/1.1\r\nHost: x\r\n\r\n`
    socket.write(get + get)
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    expect(text.match(/HTTP\/1\.1/g)?.length ?? 0).toBeLessThan(2)
  })

  it('that throws when it is let go harms nobody', async () => {
    const unhandled = watchUnhandled()
    let thrown = 0
    const router = failing(async function* () {
      try {
        for (;;) yield new Uint8Array(100_000)
      } finally {
        thrown++
        // eslint-disable-next-line no-unsafe-finally
        throw new Error('on return')
      }
    })
    await using server = await serveNode(router)
    const gone = new AbortController()
    const response = await fetch(server.url + DOWNLOAD, { signal: gone.signal })
    const reader = response.body?.getReader()
    await reader?.read()
    gone.abort()
    await expect.poll(() => thrown).toBe(1)
    const web = await router.fetch(new Request(`http://localhost${DOWNLOAD}`))
    const webReader = web.body?.getReader()
    await webReader?.read()
    await webReader?.cancel().catch(() => undefined)
    expect(thrown).toBe(2)
    await settle()
    expect(unhandled).toEqual([])
    expect((await fetch(`${server.url}/xrpc/_health`)).status).toBe(200)
  })

  it('that waits for ever is let go when the caller leaves', async () => {
    let cancelled = false
    const started = Promise.withResolvers<void>()
    const router = failing(
      () =>
        new ReadableStream<Uint8Array>({
          pull: async () => {
            started.resolve()
            await new Promise<void>(() => undefined)
          },
          cancel: () => {
            cancelled = true
          },
        }),
    )
    await using server = await serveNode(router)
    const gone = new AbortController()
    const call = fetch(server.url + DOWNLOAD, { signal: gone.signal }).catch(() => undefined)
    await started.promise
    gone.abort()
    await call
    await expect.poll(() => cancelled).toBe(true)
  })

  it('whose handler answers after the caller has left is let go', async () => {
    const called = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    let released = false
    const router = createRouter({ lexicons: examples }).add('com.example.download', {
      handler: async ({ signal }) => {
        signal.addEventListener('abort', () => go.resolve())
        called.resolve()
        await go.promise
        return new ReadableStream<Uint8Array>({
          cancel: () => {
            released = true
          },
        }) as never
      },
    })
    await using server = await serveNode(router)
    const gone = new AbortController()
    const call = fetch(server.url + DOWNLOAD, { signal: gone.signal }).catch(() => undefined)
    await called.promise
    gone.abort()
    await call
    await expect.poll(() => released).toBe(true)
  })
})

async function* bytes(length: number): AsyncGenerator<Uint8Array, void, void> {
  yield new Uint8Array(length).fill(0x61)
}

function raise(error: unknown): never {
  throw error
}

describe('a caller that never reads', () => {
  const options = { stallTimeoutMs: 100 }
  it.each([
    ['node', (r: Router<ExampleDocuments>) => createServer(createNodeHandler(r, options))],
    [
      'express',
      (r: Router<ExampleDocuments>) =>
        createServer(express().use(createExpressHandler(r, options))),
    ],
  ])('loses its connection on %s, and what it held is let go', async (_name, make) => {
    let released = 0
    const router = createRouter({ lexicons: examples })
      .add('com.example.download', {
        handler: async function* () {
          try {
            for (;;) yield new Uint8Array(1_000_000)
          } finally {
            released++
          }
        },
      })
      .add('com.example.getThing', { handler: () => ({ name: 'a'.repeat(20_000_000) }) })
    const server = make(router)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const deaf = (path: string): Socket => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
      return socket.pause()
    }
    const sockets = [deaf(DOWNLOAD), deaf('/xrpc/com.example.getThing?name=a')]
    const connections = async (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
    await vi.waitFor(async () => expect(await connections()).toBe(2))
    await vi.waitFor(async () => expect(await connections()).toBe(0), { timeout: 10_000 })
    expect(released).toBe(1)
    for (const socket of sockets) socket.destroy()
    server.close()
  })
})

describe('an upgrade', () => {
  it('that the runtime refuses becomes a 400', async () => {
    const router = createRouter({ lexicons: examples }).add('com.example.listen', {
      handler: async function* ({ signal }) {
        if (!signal.aborted) yield { $type: '#tick', seq: 1 } as never
      },
    })
    const response = await router.fetch(
      new Request('http://localhost/xrpc/com.example.listen', {
        headers: { upgrade: 'websocket' },
      }),
      {
        upgrade: () => {
          throw new TypeError("missing 'Sec-WebSocket-Key'")
        },
      },
    )
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { error: 'InvalidRequest' },
    ])
  })
})
