import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { AuthRequiredError, XrpcError } from '../src/errors.ts'
import type { BlobRef } from '../src/infer.ts'
import { reply } from '../src/method.ts'
import type { XrpcReply } from '../src/method.ts'
import { createRouter } from '../src/router.ts'
import type { Router, RouterOptions } from '../src/router.ts'
import { examples } from './documents.ts'
import type { ExampleDocuments } from './documents.ts'

const ORIGIN = 'http://localhost'
const LINK = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const BLOB = { $type: 'blob', ref: { $link: LINK }, mimeType: 'image/png', size: 3 }

function router(options: Partial<RouterOptions<ExampleDocuments>> = {}): {
  router: Router<ExampleDocuments>
  errors: unknown[]
} {
  const errors: unknown[] = []
  const made = createRouter({
    lexicons: examples,
    onError: (error) => errors.push(error),
    ...options,
  })
  made
    .add('com.example.getThing', {
      handler: ({ params, error }) => {
        if (params.name === 'missing') throw error('ThingNotFound', 'no such thing')
        if (params.name === 'crash') throw new Error('secret detail')
        return { name: params.name, limit: params.limit, tags: params.tags ?? [] }
      },
    })
    .add('com.example.putThing', {
      auth: ({ request }) => {
        const token = request.headers.get('authorization')
        if (token === null) throw new AuthRequiredError('no token')
        return { did: token }
      },
      handler: ({ input, auth }) => ({ echo: { ...input, did: auth.did } }),
    })
    .add('com.example.upload', {
      maxInputBytes: 1000,
      handler: async ({ input, encoding }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size, type: String(encoding) }
      },
    })
    .add('com.example.download', {
      handler: ({ params }) => new Uint8Array(params.size),
    })
    .add('com.example.ping', { handler: () => undefined })
  return { router: made, errors }
}

async function get(path: string, init?: RequestInit): Promise<Response> {
  return router().router.fetch(new Request(ORIGIN + path, init))
}

async function put(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return get('/xrpc/com.example.putThing', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'did:web:a', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

async function failure(response: Response): Promise<[number, string]> {
  const { error } = (await response.json()) as { error: string }
  return [response.status, error]
}

describe('queries', () => {
  it('gives checked parameters with defaults to the handler', async () => {
    const response = await get('/xrpc/com.example.getThing?name=a&tags=x&tags=y&unknown=1')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toEqual({ name: 'a', limit: 50, tags: ['x', 'y'] })
  })

  it.each([
    ['', 'missing required'],
    ['?name=a&name=b', 'repeated scalar'],
    ['?name=a&limit=007', 'leading zeros'],
    ['?name=a&limit=1.0', 'a float'],
    ['?name=a&limit=%201', 'a space'],
    ['?name=a&limit=1e1', 'an exponent'],
    ['?name=a&limit=-0', 'negative zero'],
    ['?name=a&limit=', 'an empty integer'],
    ['?name=a&limit=9007199254740993', 'beyond 53 bits'],
    ['?name=a&limit=0', 'below the minimum'],
    ['?name=a&limit=101', 'above the maximum'],
    ['?name=a&deep=1', 'a boolean that is a number'],
    ['?name=a&deep=TRUE', 'a boolean in capitals'],
    ['?name=a&tags=1&tags=2&tags=3&tags=4', 'too many items'],
    ['?name=aaaaaaaaaaaaaaaaaaaaa', 'too long text'],
    ['?name=a&did=alice', 'a format not kept'],
    ['?name=%E0%A4', 'a malformed escape'],
    [`?name=${'a'.repeat(70_000)}`, 'a query string without end'],
  ])('refuses %s (%s)', async (query) => {
    expect(await failure(await get(`/xrpc/com.example.getThing${query}`))).toEqual([
      400,
      'InvalidRequest',
    ])
  })

  it('reads escapes and plus signs', async () => {
    const response = await get('/xrpc/com.example.getThing?name=a+%C3%A9%2B')
    expect(await response.json()).toMatchObject({ name: 'a é+' })
  })

  it('answers HEAD like GET without a body', async () => {
    const response = await get('/xrpc/com.example.getThing?name=a', { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
  })

  it('sends bytes with the encoding of the lexicon', async () => {
    const response = await get('/xrpc/com.example.download?size=3')
    expect(response.headers.get('content-type')).toBe('application/vnd.ipld.car')
    expect(await response.bytes()).toEqual(new Uint8Array(3))
  })
})

describe('errors', () => {
  it('sends the name and message of a declared error', async () => {
    const response = await get('/xrpc/com.example.getThing?name=missing')
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ error: 'ThingNotFound', message: 'no such thing' })
  })

  it('hides the detail of other failures and reports them once', async () => {
    const { router: made, errors } = router()
    const response = await made.fetch(new Request(`${ORIGIN}/xrpc/com.example.getThing?name=crash`))
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('secret')
    expect(errors).toHaveLength(1)
  })

  it.each([
    ['/', 404, 'NotFound'],
    ['/xrpc/', 404, 'NotFound'],
    ['/xrpc/getThing', 400, 'InvalidRequest'],
    ['/xrpc/com.example.getThing/x', 400, 'InvalidRequest'],
    ['/xrpc/com.example..x', 400, 'InvalidRequest'],
    ['/xrpc/com.example.unknown', 501, 'MethodNotImplemented'],
    ['/xrpc/com.example.putThing', 405, 'InvalidRequest'],
    [`/xrpc/com.example.${'a'.repeat(400)}`, 400, 'InvalidRequest'],
  ])('answers GET %s with %i %s', async (path, status, error) => {
    expect(await failure(await get(path))).toEqual([status, error])
  })

  it('answers a plain request to a subscription with 426', async () => {
    const { router: made } = router()
    made.add('com.example.listen', { handler: async function* () {} })
    const response = await made.fetch(new Request(`${ORIGIN}/xrpc/com.example.listen`))
    expect(response.status).toBe(426)
    expect(response.headers.get('upgrade')).toBe('websocket')
  })

  it('answers a WebSocket handshake with 501 where nothing makes WebSockets', async () => {
    const { router: made } = router()
    made.add('com.example.listen', { handler: async function* () {} })
    const headers = { upgrade: 'WebSocket', connection: 'upgrade' }
    const response = await made.fetch(new Request(`${ORIGIN}/xrpc/com.example.listen`, { headers }))
    expect(await failure(response)).toEqual([501, 'MethodNotImplemented'])
  })

  it('refuses a POST to a query and says what is allowed', async () => {
    const response = await get('/xrpc/com.example.getThing?name=a', { method: 'POST' })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET')
  })
})

describe('procedures', () => {
  it('fills defaults and keeps unknown fields', async () => {
    const response = await put({ name: 'a', record: { deep: [1] }, more: true })
    expect(await response.json()).toEqual({
      echo: { name: 'a', record: { deep: [1] }, more: true, note: 'none', did: 'did:web:a' },
    })
  })

  it('turns links, bytes and blobs into data-model values and back', async () => {
    const link = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
    const seen: unknown[] = []
    const made = createRouter({ lexicons: examples })
    made.add('com.example.putThing', {
      handler: ({ input }) => {
        seen.push(input.record['link'], input.record['data'], input.picture)
        return { echo: input.record }
      },
    })
    const record = {
      link: { $link: link },
      data: { $bytes: 'AQID' },
      blob: { $type: 'blob', ref: { $link: link }, mimeType: 'image/png', size: 3 },
    }
    const body = JSON.stringify({ name: 'a', record, picture: record.blob })
    const response = await made.fetch(
      new Request(`${ORIGIN}/xrpc/com.example.putThing`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      }),
    )
    expect(await response.json()).toEqual({ echo: record })
    expect(String(seen[0])).toBe(link)
    expect(seen[1]).toEqual(new Uint8Array([1, 2, 3]))
    const picture = seen[2] as BlobRef
    expect(Object.getPrototypeOf(picture)).toBe(Object.prototype)
    expect(picture.ref.toString()).toBe(link)
  })

  it('authorises before it reads the body', async () => {
    let pulled = 0
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled++
          controller.enqueue(new Uint8Array(10))
        },
      },
      { highWaterMark: 0 },
    )
    const request = new Request(`${ORIGIN}/xrpc/com.example.putThing`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      duplex: 'half',
    } as RequestInit)
    const response = await router().router.fetch(request)
    expect(await failure(response)).toEqual([401, 'AuthenticationRequired'])
    expect(pulled).toBe(0)
  })

  it.each<[string, unknown, Record<string, string>, number]>([
    ['text that is not JSON', '{', {}, 400],
    ['an array', [], {}, 400],
    ['a missing field', { name: 'a' }, {}, 400],
    ['too many graphemes', { name: 'aaaaaa', record: {} }, {}, 400],
    ['a float', { name: 'a', record: { x: 1.5 } }, {}, 400],
    ['an unsafe integer', '{"name":"a","record":{"x":9007199254740993}}', {}, 400],
    ['a malformed link', { name: 'a', record: { $link: 'x' } }, {}, 400],
    ['a link with a sibling', { name: 'a', record: { x: { $link: 'x', y: 1 } } }, {}, 400],
    ['malformed bytes', { name: 'a', record: { x: { $bytes: '_' } } }, {}, 400],
    ['a malformed blob', { name: 'a', record: { x: { $type: 'blob' } } }, {}, 400],
    ['a list for an object', { name: 'a', record: [] }, {}, 400],
    ['a link for an object', { name: 'a', record: { $link: LINK } }, {}, 400],
    ['bytes for an object', { name: 'a', record: { $bytes: 'AQID' } }, {}, 400],
    ['a blob for an object', { name: 'a', record: BLOB }, {}, 400],
    ['an empty $type', { name: 'a', record: { $type: '' } }, {}, 400],
    ['half a character', { name: 'a', record: { x: ['\ud83d'] } }, {}, 400],
    ['half a character in a name', { name: 'a', record: { '\ude00': 1 } }, {}, 400],
    ['half a character at the top', { name: '\ud83d', record: {} }, {}, 400],
    [
      'nesting without end',
      `{"name":"a","record":${'{"a":'.repeat(200)}1${'}'.repeat(200)}}`,
      {},
      400,
    ],
    ['another content type', {}, { 'content-type': 'text/plain' }, 415],
    ['a malformed content type', {}, { 'content-type': 'json' }, 400],
    ['an unknown content coding', {}, { 'content-encoding': 'zstd' }, 415],
    ['a body that is not what its coding says', {}, { 'content-encoding': 'gzip' }, 400],
    ['too much', { name: 'a', record: { x: 'a'.repeat(1_100_000) } }, {}, 413],
  ])('refuses %s', async (_what, body, headers, status) => {
    const response = await put(body, headers)
    expect(response.status).toBe(status)
  })

  it('takes compressed bodies and bounds what comes out of them', async () => {
    async function gzipped(text: string): Promise<Response> {
      const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))
      const body = await new Response(stream).arrayBuffer()
      expect(body.byteLength).toBeLessThan(20_000)
      return get('/xrpc/com.example.putThing', {
        method: 'POST',
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'content-encoding': 'gzip',
          authorization: 'x',
        },
        body,
      })
    }
    expect((await gzipped(JSON.stringify({ name: 'a', record: {} }))).status).toBe(200)
    expect((await gzipped(' '.repeat(2_000_000))).status).toBe(413)
  })

  it('streams binary input and stops at the bound', async () => {
    async function upload(bytes: Uint8Array<ArrayBuffer>): Promise<Response> {
      return get('/xrpc/com.example.upload', {
        method: 'POST',
        headers: { 'content-type': 'Image/PNG; x=y' },
        body: bytes,
      })
    }
    expect(await (await upload(new Uint8Array(1000))).json()).toEqual({
      size: 1000,
      type: 'image/png',
    })
    expect(await failure(await upload(new Uint8Array(1001)))).toEqual([413, 'PayloadTooLarge'])
    expect(await (await upload(new Uint8Array(0))).json()).toEqual({ size: 0, type: 'image/png' })
  })

  it('takes no body where the lexicon has none', async () => {
    const path = '/xrpc/com.example.ping'
    expect((await get(path, { method: 'POST' })).status).toBe(200)
    expect((await get(path, { method: 'POST', body: '' })).status).toBe(200)
    expect((await get(path, { method: 'POST', body: '{}' })).status).toBe(400)
  })
})

describe('router', () => {
  it('serves health', async () => {
    const { router: made } = router({ health: () => ({ version: '1' }) })
    const response = await made.fetch(new Request(`${ORIGIN}/xrpc/_health`))
    expect(await response.json()).toEqual({ version: '1' })
  })

  it('answers preflights and lets every origin read', async () => {
    const response = await get('/xrpc/com.example.getThing', {
      method: 'OPTIONS',
      headers: { 'access-control-request-headers': 'authorization,atproto-proxy' },
    })
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-headers')).toBe('authorization,atproto-proxy')
    expect((await get('/xrpc/x')).headers.get('access-control-allow-origin')).toBe('*')
  })

  it('hands what it does not serve to the fallback, and only that', async () => {
    const { router: made } = router()
    made.fallback(async ({ nsid }) => {
      if (nsid === 'com.example.web') return new Response('hi', { headers: { 'x-a': 'b' } })
      if (nsid === 'com.example.reply') return reply({ nsid }, { status: 201 })
      if (nsid === 'com.example.fail') throw new XrpcError(502, 'UpstreamFailure', 'down')
      return undefined
    })
    const call = async (nsid: string): Promise<Response> =>
      made.fetch(new Request(`${ORIGIN}/xrpc/${nsid}?name=a`))
    const web = await call('com.example.web')
    expect([await web.text(), web.headers.get('x-a')]).toEqual(['hi', 'b'])
    expect((await call('com.example.reply')).status).toBe(201)
    expect(await failure(await call('com.example.fail'))).toEqual([502, 'UpstreamFailure'])
    expect((await call('com.example.none')).status).toBe(501)
    expect(await (await call('com.example.getThing')).json()).toMatchObject({ name: 'a' })
  })

  it('runs middleware from the outside in', async () => {
    const order: string[] = []
    const { router: made } = router({
      middleware: [
        async (_call, next) => {
          order.push('outer')
          const response = await next()
          return { ...response, headers: { ...response.headers, 'x-status': `${response.status}` } }
        },
        async (_call, next) => {
          order.push('inner')
          return next()
        },
      ],
    })
    const response = await made.fetch(
      new Request(`${ORIGIN}/xrpc/com.example.getThing?name=missing`),
    )
    expect(order).toEqual(['outer', 'inner'])
    expect(response.headers.get('x-status')).toBe('400')
  })

  it('checks outputs when told to', async () => {
    const { router: made, errors } = router({ validateOutput: true })
    const bad = createRouter({ lexicons: examples, validateOutput: true })
    bad.add('com.example.getThing', { handler: () => ({ name: 4 }) as never })
    const path = `${ORIGIN}/xrpc/com.example.getThing?name=a`
    expect((await made.fetch(new Request(path))).status).toBe(200)
    expect((await bad.fetch(new Request(path))).status).toBe(500)
    expect(errors).toEqual([])
  })

  it('does not check outputs that are streams, bytes or text', async () => {
    const json = '{"name":"from elsewhere"}'
    const bytes = new TextEncoder().encode(json)
    const stream = (): ReadableStream<Uint8Array> => new Blob([json]).stream()
    for (const output of [stream(), reply(stream()), bytes, reply(bytes), reply(json)]) {
      const made = createRouter({ lexicons: examples, validateOutput: true })
      made.add('com.example.getThing', { handler: () => output as XrpcReply })
      const response = await made.fetch(new Request(`${ORIGIN}/xrpc/com.example.getThing?name=a`))
      expect(response.headers.get('content-type')).toBe('application/json')
      expect(await response.text()).toBe(json)
    }
  })

  it('sends a challenge with every 401', async () => {
    const challenge = async (error: Error): Promise<string | null> => {
      const made = createRouter({ lexicons: examples })
      made.add('com.example.ping', {
        handler: () => {
          throw error
        },
      })
      const request = new Request(`${ORIGIN}/xrpc/com.example.ping`, { method: 'POST' })
      return (await made.fetch(request)).headers.get('www-authenticate')
    }
    expect(await challenge(new AuthRequiredError('who?'))).toBe('Bearer')
    expect(await challenge(new XrpcError(401, 'ExpiredToken'))).toBe('Bearer')
    const headers = { 'www-authenticate': 'DPoP error="use_dpop_nonce"' }
    expect(await challenge(new AuthRequiredError('nonce', { headers }))).toBe(
      headers['www-authenticate'],
    )
    expect(await challenge(new XrpcError(403, 'Forbidden'))).toBeNull()
  })

  it.each([
    ['a type that a user made up', reply(new Uint8Array(1), { encoding: 'text/😀' })],
    ['a header with a line break', reply({}, { headers: { 'x-name': 'a\r\nx-evil: 1' } })],
    ['a header name with a space', reply({}, { headers: { 'x name': 'a' } })],
    ['a status that is none', reply({}, { status: 99 })],
    [
      'an error with such a header',
      new XrpcError(400, 'InvalidRequest', 'no', { headers: { 'x-name': 'a\nb' } }),
    ],
  ])('answers 500 to %s instead of failing to answer', async (_name, outcome) => {
    const errors: unknown[] = []
    const made = createRouter({ lexicons: examples, onError: (error) => errors.push(error) })
    made.add('com.example.ping', {
      handler: () => {
        if (outcome instanceof Error) throw outcome
        return outcome
      },
    })
    const request = new Request(`${ORIGIN}/xrpc/com.example.ping`, { method: 'POST' })
    expect(await failure(await made.fetch(request))).toEqual([500, 'InternalServerError'])
    expect(errors).toEqual([expect.any(TypeError)])
  })

  it.each(['PUT', 'DELETE', 'PATCH'])('does not hand %s to the fallback', async (method) => {
    const made = createRouter({ lexicons: examples }).fallback(async () => reply({}))
    const response = await made.fetch(new Request(`${ORIGIN}/xrpc/com.example.nope`, { method }))
    expect(response.headers.get('allow')).toBe('GET, HEAD, POST')
    expect(await failure(response)).toEqual([405, 'InvalidRequest'])
  })

  it('lets go of the stream that HEAD does not send', async () => {
    const released: string[] = []
    const web = new ReadableStream<Uint8Array>({ cancel: () => void released.push('web') })
    const node = Readable.from([new Uint8Array(1)]).on('close', () => released.push('node'))
    for (const body of [web, node]) {
      const made = createRouter({ lexicons: examples })
      made.add('com.example.download', { handler: () => reply(body) })
      const url = `${ORIGIN}/xrpc/com.example.download`
      expect((await made.fetch(new Request(url, { method: 'HEAD' }))).status).toBe(200)
    }
    await expect.poll(() => released).toEqual(['web', 'node'])
  })

  it('lets go of a stream whose headers cannot be sent', async () => {
    let released = false
    const body = new ReadableStream<Uint8Array>({ cancel: () => void (released = true) })
    const made = createRouter({ lexicons: examples })
    made.add('com.example.download', { handler: () => reply(body, { encoding: 'text/😀' }) })
    const response = await made.fetch(new Request(`${ORIGIN}/xrpc/com.example.download`))
    expect([response.status, released]).toEqual([500, true])
  })

  it('refuses methods twice and methods it has no lexicon for', () => {
    const { router: made } = router()
    expect(() => made.add('com.example.ping', { handler: () => undefined })).toThrow(TypeError)
    expect(() => made.add('com.example.nope' as never, {} as never)).toThrow(TypeError)
  })
})

it.each([
  ['with a cause', new Error('refused'), 1],
  ['without one', undefined, 0],
])('reports a 502 %s, and tells the caller nothing of it', async (_name, cause, reported) => {
  const seen: unknown[] = []
  const made = createRouter({ lexicons: examples, onError: (error) => seen.push(error) })
  const failure = new XrpcError(502, 'UpstreamFailure', 'not reached', { cause })
  made.fallback(async () => {
    throw failure
  })
  const answer = await made.fetch(new Request('http://localhost/xrpc/com.example.elsewhere'))
  expect(answer.status).toBe(502)
  expect(await answer.json()).toEqual({ error: 'UpstreamFailure', message: 'not reached' })
  expect(seen).toEqual(reported === 1 ? [failure] : [])
})
