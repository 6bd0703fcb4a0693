import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { createExpressHandler } from '../src/adapters/express.ts'
import { closeServer, createNodeHandler, listenNode, serveNode } from '../src/adapters/node.ts'
import { createRouter } from '../src/router.ts'
import type { Router } from '../src/router.ts'
import { examples } from './documents.ts'
import type { ExampleDocuments } from './documents.ts'

interface Running extends AsyncDisposable {
  readonly url: string
}

function makeRouter(errors: unknown[] = []): Router<ExampleDocuments> {
  return createRouter({ lexicons: examples, onError: (error) => errors.push(error) })
    .add('com.example.getThing', { handler: ({ params }) => ({ name: params.name }) })
    .add('com.example.putThing', { handler: ({ input }) => ({ echo: input.record }) })
    .add('com.example.upload', {
      maxInputBytes: 300_000_000,
      handler: async ({ input, encoding }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size, type: String(encoding) }
      },
    })
    .add('com.example.download', {
      handler: ({ params }) => bytesThatMayBreak(params.size),
    })
}

/** 13 bytes behind a whole chunk are the ones that never come. */
async function* bytesThatMayBreak(size: number): AsyncGenerator<Uint8Array, void, void> {
  const chunk = new Uint8Array(65_536)
  for (let left = size; left > 0; left -= chunk.length) {
    if (left === 13) throw new Error('broken off')
    yield chunk.subarray(0, Math.min(left, chunk.length))
  }
}

async function listen(server: Server): Promise<Running> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => closeServer(server, { timeoutMs: 100 }),
  }
}

const adapters: [string, (router: Router<ExampleDocuments>) => Promise<Running>][] = [
  ['node', async (router) => listen(createServer(createNodeHandler(router)))],
  [
    'express',
    async (router) => {
      const app = express()
      app.use(createExpressHandler(router))
      app.get('/other', (_request, response) => void response.send('other'))
      return listen(createServer(app))
    },
  ],
]

describe.each(adapters)('%s adapter', (name, start) => {
  it('serves queries, procedures and errors', async () => {
    await using server = await start(makeRouter())
    const get = await fetch(`${server.url}/xrpc/com.example.getThing?name=a%20b`)
    expect(await get.json()).toEqual({ name: 'a b' })
    expect(get.headers.get('content-length')).toBe('14')
    expect(get.headers.get('access-control-allow-origin')).toBe('*')
    const post = await fetch(`${server.url}/xrpc/com.example.putThing`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'é', record: { a: ['é'] } }),
    })
    expect(await post.json()).toEqual({ echo: { a: ['é'] } })
    const head = await fetch(`${server.url}/xrpc/com.example.getThing?name=a`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect((await fetch(`${server.url}/xrpc/com.example.nope`)).status).toBe(501)
    const other = await fetch(`${server.url}/other`)
    expect(other.status).toBe(name === 'express' ? 200 : 404)
  })

  it('streams a body of 300 MB in and out without holding it', async () => {
    await using server = await start(makeRouter())
    const size = 300_000_000
    const chunk = new Uint8Array(1_000_000)
    let sent = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent >= size) controller.close()
        else controller.enqueue(chunk)
        sent += chunk.length
      },
    })
    const before = process.memoryUsage().arrayBuffers
    let peak = 0
    const sampler = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers)
    }, 10)
    const upload = await fetch(`${server.url}/xrpc/com.example.upload`, {
      method: 'POST',
      headers: { 'content-type': 'video/mp4' },
      body,
      duplex: 'half',
    } as RequestInit)
    expect(await upload.json()).toEqual({ size, type: 'video/mp4' })
    const download = await fetch(`${server.url}/xrpc/com.example.download?size=${size}`)
    let received = 0
    for await (const part of download.body ?? []) received += part.length
    clearInterval(sampler)
    expect(received).toBe(size)
    expect(peak - before).toBeLessThan(150_000_000)
  })

  it('breaks the connection when a stream fails, and reports it', async () => {
    const errors: unknown[] = []
    await using server = await start(makeRouter(errors))
    const response = await fetch(`${server.url}/xrpc/com.example.download?size=65549`)
    expect(response.status).toBe(200)
    await expect(response.arrayBuffer()).rejects.toThrow('terminated')
    expect(errors).toHaveLength(1)
  })

  it('stops a stream when the caller goes away', async () => {
    let released = false
    const router = createRouter({ lexicons: examples }).add('com.example.download', {
      handler: ({ signal }) =>
        (async function* () {
          try {
            while (!signal.aborted) yield new Uint8Array(65_536)
          } finally {
            released = true
          }
        })(),
    })
    await using server = await start(router)
    const controller = new AbortController()
    const response = await fetch(`${server.url}/xrpc/com.example.download`, {
      signal: controller.signal,
    })
    const reader = response.body?.getReader()
    await reader?.read()
    controller.abort()
    await expect.poll(() => released).toBe(true)
  })

  it('survives an upload that breaks off', async () => {
    const errors: unknown[] = []
    await using server = await start(makeRouter(errors))
    const { port } = new URL(server.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(
      'POST /xrpc/com.example.upload HTTP/1.1\r\nhost: x\r\ncontent-type: a/b\r\ncontent-length: 1000\r\n\r\nabc',
    )
    await once(socket, 'ready')
    socket.resetAndDestroy()
    const response = await fetch(`${server.url}/xrpc/com.example.getThing?name=a`)
    expect(response.status).toBe(200)
    expect(errors).toEqual([])
  })

  it('refuses a body that is too long without reading it', async () => {
    await using server = await start(makeRouter())
    const request = httpRequest(`${server.url}/xrpc/com.example.putThing`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': 2_000_000_000 },
    })
    request.on('error', () => undefined)
    request.write('{')
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect(response.statusCode).toBe(413)
    expect(response.headers.connection).toBe('close')
    request.destroy()
  })

  it('does not let a request inject headers', async () => {
    await using server = await start(makeRouter())
    const response = await fetch(
      `${server.url}/xrpc/com.example.getThing?name=a%0d%0ax-injected:%201`,
    )
    expect(response.headers.get('x-injected')).toBeNull()
  })

  it.each(['GET /xrpc/%ZZ HTTP/1.1', 'GET //xrpc//x HTTP/1.1', 'GET /xrpc/a.b.c?%=% HTTP/1.1'])(
    'answers %s with an error',
    async (line) => {
      await using server = await start(makeRouter())
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
      socket.write(`${line}\r\nhost: x\r\nconnection: close\r\n\r\n`)
      let text = ''
      for await (const chunk of socket) text += String(chunk)
      expect(text).toMatch(/^HTTP\/1\.1 (?:4\d\d|501) /)
    },
  )
})

describe.each(adapters)('%s adapter', (_name, start) => {
  it('takes requests in the form that proxies send', async () => {
    await using server = await start(makeRouter())
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    const url = 'http://elsewhere.example:80/xrpc/com.example.getThing?name=a'
    socket.write(`GET ${url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    expect(text).toMatch(/^HTTP\/1\.1 200 .*\{"name":"a"\}$/s)
  })
})

describe('serveNode', () => {
  it('finishes calls under way when it is disposed', async () => {
    let finish = (): void => undefined
    const router = createRouter({ lexicons: examples }).add('com.example.getThing', {
      handler: async ({ params }) => {
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        return { name: params.name }
      },
    })
    const server = await serveNode(router)
    const pending = fetch(`${server.url}/xrpc/com.example.getThing?name=a`)
    await once(server.server, 'request')
    const closing = server[Symbol.asyncDispose]()
    finish()
    expect((await pending).status).toBe(200)
    await closing
    await expect(fetch(server.url)).rejects.toThrow('fetch failed')
  })
})

describe('createExpressHandler', () => {
  it('says so when a body parser ran first', async () => {
    const app = express()
    app.use(express.json(), createExpressHandler(makeRouter()))
    app.use(
      (
        error: Error,
        _request: express.Request,
        response: express.Response,
        _next: express.NextFunction,
      ) => {
        response.status(500).send(error.message)
      },
    )
    await using server = await listen(createServer(app))
    const response = await fetch(`${server.url}/xrpc/com.example.putThing`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    expect(await response.text()).toContain('before body parsers')
  })
})

describe('listenNode', () => {
  it('ends what was attached when the port is taken', async () => {
    await using taken = await listenNode(createServer())
    const { port } = new URL(taken.url)
    let ended = 0
    const attach = (): AsyncDisposable => ({
      [Symbol.asyncDispose]: async () => {
        ended++
      },
    })
    const serving = serveNode(makeRouter(), { port: Number(port), attach })
    await expect(serving).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(ended).toBe(1)
  })

  it('swallows no error of a server that listens, and may be disposed of twice', async () => {
    await using running = await listenNode(createServer())
    expect(() => running.server.emit('error', new Error('broken'))).toThrow('broken')
    await running[Symbol.asyncDispose]()
    await running[Symbol.asyncDispose]()
    await using closed = await listenNode(createServer())
    closed.server.close()
  })
})

describe('closeServer', () => {
  it('does not wait for a client that keeps its connection open after the last answer', async () => {
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<void>()
    const server = createServer((_request, response) => {
      asked.resolve()
      void answer.promise.then(() => response.end('done'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const call = fetch(`http://127.0.0.1:${port}/`).then(async (response) => response.text())
    await asked.promise
    const closed = closeServer(server)
    const started = performance.now()
    answer.resolve()
    expect(await call).toBe('done')
    await closed
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('has nothing to do for a server that does not listen, so that why it does not is what is told', async () => {
    await closeServer(createServer())
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await closeServer(server)
    await closeServer(server)
  })
})
