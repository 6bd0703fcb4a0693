import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServiceDidDocument } from '@skywright/identity'
import { generatePrivateKey } from '@skywright/identity/keys'
import { createMemoryResolver } from '@skywright/identity/testing'
import { describe, expect, it } from 'vitest'
import { closeServer, serveNode } from '../src/adapters/node.ts'
import { toReadableStream } from '../src/body.ts'
import type { FetchLike } from '../src/fetch-like.ts'
import { isProtectedMethod } from '../src/protected-methods.ts'
import { formatProxyHeader, parseProxyHeader } from '../src/proxy-header.ts'
import { createProxy } from '../src/proxy.ts'
import type { ProxyOptions } from '../src/proxy.ts'
import { createRouter } from '../src/router.ts'
import { createServiceAuthVerifier } from '../src/service-auth.ts'
import { createServiceJwt } from '../src/service-jwt.ts'
import { examples } from './documents.ts'

const ALICE = 'did:web:alice.test'
const SERVICE = 'did:web:service.test'

describe('parseProxyHeader', () => {
  it.each([
    ['did:web:api.bsky.app#bsky_appview', 'did:web:api.bsky.app', 'bsky_appview'],
    ['did:plc:abc#x', 'did:plc:abc', 'x'],
    ['did:web:localhost%3A3000#x', 'did:web:localhost%3A3000', 'x'],
  ])('reads %s', (header, did, serviceId) => {
    expect(parseProxyHeader(header)).toEqual({ did, serviceId })
    expect(formatProxyHeader({ did, serviceId })).toBe(header)
  })

  it.each([
    '',
    '#',
    'did:web:a',
    'did:web:a#',
    '#a',
    'did:web:a#b#c',
    'did:web:a#b c',
    ' did:web:a#b',
    'did:web:a #b',
    'did:web:a#b\n',
    'https://a#b',
    `did:web:${'a'.repeat(3000)}#b`,
  ])('refuses %j', (header) => {
    expect(() => parseProxyHeader(header)).toThrow('atproto-proxy')
  })
})

interface Running extends AsyncDisposable {
  readonly url: string
}

/** A PDS that only proxies, in front of a service that answers by the same lexicons. */
async function start(
  upstream: Parameters<typeof createServer>[1] | undefined,
  options: Partial<ProxyOptions> = {},
): Promise<Running> {
  const resources = new AsyncDisposableStack()
  const key = generatePrivateKey('k256')
  const resolver = createMemoryResolver()
  resolver.setAccount({ did: ALICE, signingKey: key.publicKey })
  const verifier = createServiceAuthVerifier({ audience: [SERVICE], resolver })
  const service = createRouter({ lexicons: examples })
    .add('com.example.getThing', {
      auth: verifier.required,
      handler: ({ params, auth, request }) => ({
        name: `${auth.iss} ${params.name} ${request.headers.get('accept-language') ?? ''}`,
      }),
    })
    .add('com.example.upload', {
      auth: verifier.required,
      handler: async ({ input, encoding }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size, type: String(encoding) }
      },
    })
    .add('com.example.download', { handler: ({ params }) => new Uint8Array(params.size) })
  let url: string
  if (upstream === undefined) {
    const server = resources.use(await serveNode(service))
    url = server.url
  } else {
    const server = createServer(upstream)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    resources.defer(async () => closeServer(server, { timeoutMs: 50 }))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  resolver.set(
    createServiceDidDocument({
      did: SERVICE,
      services: [{ id: 'thing', type: 'Thing', endpoint: url }],
    }),
  )
  const proxy = createProxy({
    resolver,
    createToken: async (claims) => createServiceJwt({ ...claims, key }),
    fetch: async (target, init) => fetch(target, init),
    allowHttp: true,
    ...options,
  })
  const pds = createRouter({ lexicons: examples }).fallback(async (call) =>
    proxy.targetOf(call) === undefined ? undefined : proxy.forward(call, { iss: ALICE }),
  )
  const front = resources.use(await serveNode(pds))
  return { url: front.url, [Symbol.asyncDispose]: async () => resources.disposeAsync() }
}

const HEADERS = { 'atproto-proxy': `${SERVICE}#thing`, 'accept-language': 'de' }

async function failure(response: Response): Promise<[number, string]> {
  return [response.status, ((await response.json()) as { error: string }).error]
}

describe('createProxy', () => {
  it('passes a query on with a token of its own', async () => {
    await using pds = await start(undefined)
    const response = await fetch(`${pds.url}/xrpc/com.example.getThing?name=a%20b`, {
      headers: { ...HEADERS, authorization: 'Bearer secret', cookie: 'secret' },
    })
    expect(await response.json()).toEqual({ name: `${ALICE} a b de` })
  })

  it('streams a body on, and an answer back', async () => {
    await using pds = await start(undefined)
    const upload = await fetch(`${pds.url}/xrpc/com.example.upload`, {
      method: 'POST',
      headers: { ...HEADERS, 'content-type': 'video/mp4' },
      body: new Uint8Array(5_000_000),
    })
    expect(await upload.json()).toEqual({ size: 5_000_000, type: 'video/mp4' })
    const download = await fetch(`${pds.url}/xrpc/com.example.download?size=1000000`, {
      headers: HEADERS,
    })
    expect(download.headers.get('content-type')).toBe('application/vnd.ipld.car')
    expect((await download.arrayBuffer()).byteLength).toBe(1_000_000)
  })

  it('gives an upload the time it takes, and the service its own', async () => {
    await using pds = await start(undefined, { headersTimeoutMs: 250 })
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 5; i++) {
        yield new Uint8Array(100)
        await new Promise((resolve) => setTimeout(resolve, 80))
      }
    }
    const init: RequestInit & { duplex: 'half' } = {
      method: 'POST',
      headers: { ...HEADERS, 'content-type': 'image/png' },
      body: toReadableStream(chunks()),
      duplex: 'half',
    }
    const response = await fetch(`${pds.url}/xrpc/com.example.upload`, init)
    expect(await response.json()).toEqual({ size: 500, type: 'image/png' })
  })

  it('does not wait for a service that stops reading an upload', async () => {
    await using pds = await start(() => undefined, { headersTimeoutMs: 100 })
    const response = await fetch(`${pds.url}/xrpc/com.example.upload`, {
      method: 'POST',
      headers: { ...HEADERS, 'content-type': 'image/png' },
      body: new Uint8Array(30_000_000),
    })
    expect(await failure(response)).toEqual([504, 'UpstreamTimeout'])
  })

  it('passes errors of the service on', async () => {
    await using pds = await start(undefined)
    const get = async (path: string): Promise<Response> =>
      fetch(`${pds.url}/xrpc/${path}`, { headers: HEADERS })
    expect(await failure(await get('com.example.getThing'))).toEqual([400, 'InvalidRequest'])
    expect(await failure(await get('com.example.nope'))).toEqual([501, 'MethodNotImplemented'])
  })

  it('is not asked without a header or default', async () => {
    await using pds = await start(undefined)
    expect((await fetch(`${pds.url}/xrpc/com.example.getThing?name=a`)).status).toBe(501)
  })

  it.each<[string, Record<string, string>, string, number, string]>([
    ['a malformed header', { 'atproto-proxy': 'x' }, 'com.example.ping', 400, 'InvalidRequest'],
    [
      'a DID that does not exist',
      { 'atproto-proxy': 'did:web:nobody.test#thing' },
      'com.example.ping',
      400,
      'InvalidRequest',
    ],
    [
      'a service its DID does not have',
      { 'atproto-proxy': `${SERVICE}#other` },
      'com.example.ping',
      400,
      'InvalidRequest',
    ],
    ['a protected method', HEADERS, 'com.atproto.server.deactivateAccount', 403, 'Forbidden'],
  ])('refuses %s', async (_what, headers, nsid, status, error) => {
    await using pds = await start(undefined)
    const response = await fetch(`${pds.url}/xrpc/${nsid}`, { method: 'POST', headers })
    expect(await failure(response)).toEqual([status, error])
  })

  it('asks the operator last', async () => {
    await using pds = await start(undefined, {
      allow: (_target, nsid) => nsid.endsWith('.download'),
    })
    const get = async (path: string): Promise<Response> =>
      fetch(`${pds.url}/xrpc/${path}`, { headers: HEADERS })
    expect((await get('com.example.getThing?name=a')).status).toBe(403)
    expect((await get('com.example.download')).status).toBe(200)
  })

  it.each<[string, Parameters<typeof createServer>[1], Partial<ProxyOptions>, number, string]>([
    [
      'a 500',
      (_request, response) => void response.writeHead(500).end('<html>secret</html>'),
      {},
      502,
      'UpstreamFailure',
    ],
    [
      'a redirect',
      (_request, response) => void response.writeHead(302, { location: 'http://10.0.0.1/' }).end(),
      {},
      502,
      'UpstreamFailure',
    ],
    ['a hang-up', (request) => void request.socket.destroy(), {}, 502, 'UpstreamFailure'],
    ['silence', () => undefined, { headersTimeoutMs: 50 }, 504, 'UpstreamTimeout'],
    [
      'an answer declared too long',
      (_request, response) =>
        void response.writeHead(200, { 'content-length': 1001 }).end(Buffer.alloc(1001)),
      { maxResponseBytes: 1000 },
      502,
      'UpstreamFailure',
    ],
  ])(
    'answers %s of the service with an error of its own',
    async (_what, service, options, status, error) => {
      await using pds = await start(service, options)
      const response = await fetch(`${pds.url}/xrpc/com.example.getThing?name=a`, {
        headers: HEADERS,
      })
      expect(await failure(response)).toEqual([status, error])
    },
  )

  it.each<[string, Parameters<typeof createServer>[1]]>([
    [
      'grows too long',
      (_request, response) => {
        response.writeHead(200)
        response.write(Buffer.alloc(900))
        setImmediate(() => response.end(Buffer.alloc(900)))
      },
    ],
    [
      'falls silent',
      (_request, response) => {
        response.writeHead(200)
        response.write('a')
      },
    ],
  ])('cuts an answer off that %s', async (_what, service) => {
    await using pds = await start(service, { maxResponseBytes: 1000, bodyTimeoutMs: 50 })
    // Depending on timing the connection breaks before or after the headers went out.
    const whole = fetch(`${pds.url}/xrpc/com.example.download`, { headers: HEADERS }).then(
      async (response) => response.arrayBuffer(),
    )
    await expect(whole).rejects.toThrow(/terminated|fetch failed/)
  })

  it('passes only what it should in either direction', async () => {
    const seen: Record<string, unknown>[] = []
    await using pds = await start((request, response) => {
      seen.push({ ...request.headers, method: request.method, url: request.url })
      response.writeHead(200, {
        'content-type': 'application/json',
        'set-cookie': 'a=b',
        'atproto-repo-rev': 'rev',
        server: 'secret',
      })
      response.end('{}')
    })
    const response = await fetch(`${pds.url}/xrpc/com.example.getThing?name=a`, {
      headers: {
        ...HEADERS,
        cookie: 'secret',
        'x-secret': 'secret',
        'atproto-accept-labelers': 'did:web:l',
        'x-bsky-topics': 't',
      },
    })
    expect(response.headers.get('atproto-repo-rev')).toBe('rev')
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(response.headers.get('server')).toBeNull()
    expect(seen[0]).toMatchObject({
      'atproto-accept-labelers': 'did:web:l',
      'x-bsky-topics': 't',
      url: '/xrpc/com.example.getThing?name=a',
    })
    expect(seen[0]).not.toHaveProperty('cookie')
    expect(seen[0]).not.toHaveProperty('x-secret')
    expect(seen[0]).not.toHaveProperty('atproto-proxy')
  })

  it('reaches configured services without their documents, with the audience told', async () => {
    const claims: unknown[] = []
    const urls: string[] = []
    const trustedFetch: FetchLike = async (url) => {
      urls.push(url)
      return Response.json({})
    }
    const proxy = createProxy({
      resolver: createMemoryResolver(),
      createToken: async (wanted) => {
        claims.push(wanted)
        return 'token'
      },
      fetch: async () => {
        throw new Error('not for this')
      },
      services: [{ did: SERVICE, serviceId: 'thing', url: 'http://10.0.0.1:99' }],
      trustedFetch,
      audience: 'did#service',
    })
    const router = createRouter({ lexicons: examples }).fallback(async (call) => {
      await proxy.forward(call, { iss: ALICE })
      return proxy.forward(call, { iss: ALICE, aud: 'did:web:feed.example', lxm: 'a.b.c' })
    })
    await router.fetch(new Request('http://localhost/xrpc/com.example.other', { headers: HEADERS }))
    expect(urls).toEqual(Array(2).fill('http://10.0.0.1:99/xrpc/com.example.other'))
    expect(claims).toEqual([
      { iss: ALICE, aud: `${SERVICE}#thing`, lxm: 'com.example.other' },
      { iss: ALICE, aud: 'did:web:feed.example', lxm: 'a.b.c' },
    ])
  })
})

describe('isProtectedMethod', () => {
  it('knows the methods about the account', () => {
    expect(isProtectedMethod('com.atproto.server.createSession')).toBe(true)
    expect(isProtectedMethod('com.atproto.server.createAccount')).toBe(false)
    expect(isProtectedMethod('app.bsky.feed.getTimeline')).toBe(false)
  })
})
