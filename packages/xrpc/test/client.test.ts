import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { closeServer } from '../src/adapters/node.ts'
import { createClient } from '../src/client.ts'
import type { Client, ClientOptions } from '../src/client.ts'
import {
  AuthRequiredError,
  ConnectionError,
  InvalidRequestError,
  InvalidResponseError,
  NotFoundError,
  RateLimitedError,
  XrpcError,
} from '../src/errors.ts'
import type { FetchLike } from '../src/fetch-like.ts'
import { createRouter } from '../src/router.ts'
import { createSession, resumeSession } from '../src/session.ts'
import type { SessionData } from '../src/session.ts'
import { examples } from './documents.ts'
import type { ExampleDocuments } from './documents.ts'

const SERVICE = 'https://pds.example.com'

function client(
  fetch: FetchLike,
  options: Partial<ClientOptions<ExampleDocuments>> = {},
): Client<ExampleDocuments> {
  return createClient({ service: SERVICE, lexicons: examples, fetch, ...options })
}

function origin(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A client whose requests a router answers, without a network between. */
function served(seen: Request[] = []): Client<ExampleDocuments> {
  const router = createRouter({ lexicons: examples })
    .add('com.example.getThing', {
      handler: ({ params }) => ({
        name: params.name,
        limit: params.limit,
        tags: params.tags ?? [],
        data: new Uint8Array([1, 2]),
        link: { $link: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' },
      }),
    })
    .add('com.example.putThing', { handler: ({ input }) => ({ echo: input.record }) })
    .add('com.example.upload', {
      handler: async ({ input, encoding }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size, type: String(encoding) }
      },
    })
    .add('com.example.download', { handler: ({ params }) => new Uint8Array(params.size) })
    .add('com.example.ping', { handler: () => undefined })
  return client(async (url, init) => {
    const request = new Request(url, init)
    seen.push(request.clone())
    return router.fetch(request)
  })
}

describe('createClient', () => {
  it('calls queries, defaults included, and gives data-model values', async () => {
    const seen: Request[] = []
    const output = await served(seen).query('com.example.getThing', {
      name: 'a&b',
      tags: ['x', 'y z'],
    })
    expect(output).toMatchObject({ name: 'a&b', limit: 50, tags: ['x', 'y z'] })
    expect(output.data).toEqual(new Uint8Array([1, 2]))
    expect(output.link?.toString()).toMatch(/^bafkrei/)
    expect(seen[0]?.url).toBe(
      `${SERVICE}/xrpc/com.example.getThing?limit=50&name=a%26b&tags=x&tags=y%20z`,
    )
  })

  it('calls procedures with JSON, bytes, blobs, streams and nothing', async () => {
    const seen: Request[] = []
    const to = served(seen)
    const record = { bytes: new Uint8Array([255]) }
    const put = await to.procedure('com.example.putThing', { name: 'a', record })
    expect(put).toEqual({ echo: record })
    expect(await to.procedure('com.example.upload', new Uint8Array(3))).toEqual({
      size: 3,
      type: 'application/octet-stream',
    })
    const blob = new Blob(['abcd'], { type: 'image/png' })
    expect(await to.procedure('com.example.upload', blob)).toEqual({ size: 4, type: 'image/png' })
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(2)
      yield new Uint8Array(3)
    }
    const options = { encoding: 'video/mp4' }
    expect(await to.procedure('com.example.upload', stream(), options)).toEqual({
      size: 5,
      type: 'video/mp4',
    })
    expect(await to.procedure('com.example.ping')).toBeUndefined()
    expect(seen.at(-1)?.headers.get('content-type')).toBeNull()
  })

  it('gives binary output as a stream, and headers when asked', async () => {
    const { data, headers, status } = await served().queryResult('com.example.download', {
      size: 100_000,
    })
    let length = 0
    for await (const chunk of data) length += chunk.length
    expect([length, status]).toEqual([100_000, 200])
    expect(headers.get('content-type')).toBe('application/vnd.ipld.car')
  })

  it.each<[string, Response, number, string, new (...args: never) => Error]>([
    [
      'JSON',
      Response.json({ error: 'A', message: 'b' }, { status: 400 }),
      400,
      'A',
      InvalidRequestError,
    ],
    ['HTML', new Response('<html>', { status: 502 }), 502, 'UpstreamFailure', XrpcError],
    [
      'nothing',
      new Response(null, { status: 401 }),
      401,
      'AuthenticationRequired',
      AuthRequiredError,
    ],
    ['null', Response.json(null, { status: 403 }), 403, 'Forbidden', XrpcError],
    [
      'a name with spaces',
      Response.json({ error: 'a b' }, { status: 404 }),
      404,
      'XrpcNotSupported',
      XrpcError,
    ],
    [
      'too much',
      new Response('x'.repeat(1_000_000), { status: 418 }),
      418,
      'InvalidRequest',
      XrpcError,
    ],
  ])('reads errors in %s', async (_what, response, status, error, type) => {
    const call = client(async () => response, { retry: { attempts: 1 } }).query(
      'com.example.getThing',
      { name: 'a' },
    )
    const thrown = await call.catch((cause: unknown) => cause)
    expect(thrown).toBeInstanceOf(type)
    expect(thrown).toMatchObject({ status, error })
  })

  it.each<[string, Response]>([
    ['HTML', new Response('<html>', { headers: { 'content-type': 'text/html' } })],
    ['what the lexicon does not say', Response.json({ name: 1 })],
    ['broken JSON', new Response('{', { headers: { 'content-type': 'application/json' } })],
    ['too much', Response.json({ name: 'a'.repeat(2_000) })],
  ])('refuses answers that are %s', async (_what, response) => {
    const call = client(async () => response, { maxResponseBytes: 1_000 }).query(
      'com.example.getThing',
      { name: 'a' },
    )
    await expect(call).rejects.toThrow(InvalidResponseError)
  })

  it('can skip the check', async () => {
    const skipping = client(async () => Response.json({ name: 1 }), { validateOutput: false })
    expect(await skipping.query('com.example.getThing', { name: 'a' })).toEqual({ name: 1 })
  })

  it('repeats queries that fail for a passing reason, waiting as long as told', async () => {
    const waits: number[] = []
    const answers: (() => Response)[] = [
      () => {
        throw new TypeError('fetch failed')
      },
      () => Response.json({}, { status: 503 }),
      () => Response.json({}, { status: 503, headers: { 'retry-after': '9' } }),
      () => Response.json({}, { status: 429, headers: { 'retry-after': '7' } }),
      () => Response.json({ name: 'a' }),
    ]
    const patient = client(async () => (answers.shift() ?? (() => Response.error()))(), {
      retry: {
        attempts: 5,
        random: () => 1,
        wait: async (ms) => {
          waits.push(ms)
        },
      },
    })
    expect(await patient.query('com.example.getThing', { name: 'a' })).toEqual({ name: 'a' })
    expect(waits).toEqual([500, 1000, 9000, 7000])
  })

  it.each([400, 401, 403, 404, 413, 501])('does not repeat a %i', async (status) => {
    let calls = 0
    const once = client(async () => {
      calls++
      return Response.json({}, { status })
    })
    await expect(once.query('com.example.getThing', { name: 'a' })).rejects.toThrow(XrpcError)
    expect(calls).toBe(1)
  })

  it('never repeats procedures, nor waits longer than it may', async () => {
    let calls = 0
    const busy = client(
      async () => {
        calls++
        return Response.json({}, { status: 429, headers: { 'retry-after': '3600' } })
      },
      { retry: { wait: async () => undefined } },
    )
    const thrown = await busy
      .query('com.example.getThing', { name: 'a' })
      .catch((cause: unknown) => cause)
    expect(thrown).toBeInstanceOf(RateLimitedError)
    expect(thrown).toMatchObject({ retryAfterSeconds: 3600 })
    await expect(busy.procedure('com.example.ping')).rejects.toThrow(RateLimitedError)
    expect(calls).toBe(2)
  })

  it('hands no credentials to where a redirect leads', async () => {
    const seen: (string | undefined)[] = []
    const elsewhere = createServer((request, response) => {
      seen.push(request.headers.authorization, request.headers.cookie)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"name":"a"}')
    })
    const server = createServer((request, response) => {
      response.writeHead(307, { location: `${origin(elsewhere)}${request.url ?? ''}` }).end()
    })
    try {
      for (const one of [elsewhere, server]) await once(one.listen(0, '127.0.0.1'), 'listening')
      const calling = createClient({
        service: origin(server),
        lexicons: examples,
        headers: { authorization: 'Bearer secret', cookie: 'a=secret' },
      })
      expect(await calling.query('com.example.getThing', { name: 'a' })).toEqual({ name: 'a' })
      expect(seen).toEqual([undefined, undefined])
    } finally {
      for (const one of [elsewhere, server]) await closeServer(one, { timeoutMs: 100 })
    }
  })

  it('stops when told to, and after its time', async () => {
    const hanging: FetchLike = async (_url, init) =>
      new Promise((_resolve, reject) => {
        init.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error))
      })
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    const slow = client(hanging, { timeoutMs: 20, retry: { attempts: 1 } })
    await expect(slow.query('com.example.getThing', { name: 'a' })).rejects.toThrow(ConnectionError)
    const stopped = slow.query('com.example.getThing', { name: 'a' }, { signal })
    await expect(stopped).rejects.toBe(reason)
  })

  it('pages on over empty pages, and stops at a repeated cursor', async () => {
    const pages: Record<string, object> = {
      '': { name: '1', cursor: 'a' },
      a: { name: '', cursor: 'b' },
      b: { name: '3', cursor: 'a' },
    }
    const asked: (string | null)[] = []
    const paging = client(async (url) => {
      const cursor = new URL(url).searchParams.get('cursor')
      asked.push(cursor)
      return Response.json(pages[cursor ?? ''])
    })
    const names: string[] = []
    for await (const page of paging.paginate('com.example.getThing', { name: 'x' })) {
      names.push(page.name)
    }
    expect(names).toEqual(['1', '', '3'])
    expect(asked).toEqual([null, 'a', 'b'])
  })

  it('stops when the cursor it began with comes back', async () => {
    let asked = 0
    const paging = client(async () => {
      asked++
      return Response.json({ name: '1', cursor: 'a' })
    })
    const pages = paging.paginate('com.example.getThing', { name: 'x', cursor: 'a' } as never)
    for await (const page of pages) expect(page).toBeDefined()
    expect(asked).toBe(1)
  })
})

/** A server that knows one account, whose access tokens are good for as long as `valid` says. */
function accountServer(): {
  fetch: FetchLike
  calls: string[]
  valid: Set<string>
  down: { value: boolean }
} {
  const calls: string[] = []
  const valid = new Set(['access-0'])
  const down = { value: false }
  let count = 0
  const fetch: FetchLike = async (url, init) => {
    const { pathname } = new URL(url)
    const nsid = pathname.slice('/xrpc/'.length)
    const token = new Headers(init.headers).get('authorization')?.slice('Bearer '.length)
    calls.push(`${nsid} ${token ?? ''}`.trim())
    const tokens = (n: number): object => ({
      did: 'did:web:a',
      handle: 'a.example',
      accessJwt: `access-${n}`,
      refreshJwt: `refresh-${n}`,
    })
    if (nsid === 'com.atproto.server.createSession') {
      const { password } = JSON.parse(init.body as string) as { password: string }
      return password === 'right'
        ? Response.json(tokens(0))
        : Response.json({ error: 'AuthenticationRequired' }, { status: 401 })
    }
    if (nsid === 'com.atproto.server.refreshSession') {
      if (down.value) return Response.json({}, { status: 503 })
      if (token !== `refresh-${count}`) {
        return Response.json({ error: 'ExpiredToken' }, { status: 400 })
      }
      count++
      valid.clear()
      valid.add(`access-${count}`)
      return Response.json(tokens(count))
    }
    if (nsid === 'com.atproto.server.deleteSession') return new Response(null)
    return valid.has(token ?? '')
      ? Response.json({ name: token })
      : Response.json({ error: 'ExpiredToken' }, { status: 400 })
  }
  return { fetch, calls, valid, down }
}

const LOGIN = { service: SERVICE, identifier: 'a.example', password: 'right' }

const OLD: SessionData = {
  did: 'did:web:a',
  handle: 'a.example',
  accessJwt: 'a',
  refreshJwt: 'r',
  service: SERVICE,
}

describe('createSession', () => {
  it('logs in, and sends the token only to its own server', async () => {
    const server = accountServer()
    const changes: (SessionData | undefined)[] = []
    const session = await createSession({
      ...LOGIN,
      fetch: server.fetch,
      onChange: (data) => void changes.push(data),
    })
    expect(changes).toEqual([session.data])
    expect(session.did).toBe('did:web:a')
    await client(session.fetch).query('com.example.getThing', { name: 'x' })
    await session.fetch('https://elsewhere.example/xrpc/x.y.z', {})
    expect(server.calls).toEqual([
      'com.atproto.server.createSession',
      'com.example.getThing access-0',
      'x.y.z',
    ])
  })

  it('finds the PDS of a handle by a resolver, and takes no other account from it', async () => {
    const server = accountServer()
    const found = { did: 'did:web:a', pds: `${SERVICE}/` }
    const resolved: string[] = []
    const login = async (
      identity: { did: string; pds?: string },
      password = 'right',
    ): Promise<unknown> => {
      const service = {
        resolveIdentity: async (identifier: string) => {
          resolved.push(identifier)
          return identity
        },
      }
      const session = await createSession({ ...LOGIN, password, service, fetch: server.fetch })
      return [session.did, session.service]
    }
    expect(await login(found)).toEqual(['did:web:a', SERVICE])
    expect(resolved).toEqual(['a.example'])
    await expect(login(found, 'wrong')).rejects.toBeInstanceOf(AuthRequiredError)
    await expect(login({ did: 'did:web:a' })).rejects.toBeInstanceOf(NotFoundError)
    await expect(login({ ...found, did: 'did:web:b' })).rejects.toBeInstanceOf(InvalidResponseError)
  })

  it.each([
    ['the PDS of the DID document', 'https://pds.example/', 'https://pds.example'],
    ['the login server for a PDS in the clear', 'http://pds.example', SERVICE],
    ['the login server for a PDS that is no URL', 'pds', SERVICE],
    ['the login server without a DID document', undefined, SERVICE],
  ])('talks to %s', async (_what, serviceEndpoint, expected) => {
    const server = accountServer()
    const service = [{ id: '#other', serviceEndpoint: 'https://x.example' }]
    const pds = { id: 'did:web:a#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint }
    const didDoc = serviceEndpoint === undefined ? undefined : { service: [...service, pds] }
    const asked: string[] = []
    const session = await createSession({
      ...LOGIN,
      fetch: async (url, init) => {
        asked.push(new URL(url).origin)
        const response = await server.fetch(url, init)
        if (!url.endsWith('createSession')) return response
        return Response.json({ ...((await response.json()) as object), didDoc })
      },
    })
    expect([session.service, session.data?.service]).toEqual([expected, expected])
    const made = createClient({
      service: session.service,
      lexicons: examples,
      fetch: session.fetch,
    })
    expect(await made.query('com.example.getThing', { name: 'x' })).toEqual({ name: 'access-0' })
    expect(asked).toEqual([SERVICE, expected])
  })

  it('lets the callback that keeps the tokens use the session', async () => {
    const server = accountServer()
    const statuses: number[] = []
    const session = resumeSession(
      { ...OLD, accessJwt: 'access-0', refreshJwt: 'refresh-0' },
      {
        fetch: server.fetch,
        onChange: async () => {
          const response = await session.fetch(`${SERVICE}/xrpc/com.example.ping`, {})
          statuses.push(response.status)
        },
      },
    )
    await session.refresh()
    expect(statuses).toEqual([200])
  })

  it.each([
    ['a page', '<html>'],
    ['more than it could be', 'x'.repeat(10_000_001)],
  ])(
    'says that the answer is invalid when a refresh gives %s, and keeps the session',
    async (_name, body) => {
      const session = resumeSession(OLD, { fetch: async () => new Response(body) })
      await expect(session.refresh()).rejects.toThrow(InvalidResponseError)
      expect(session.data).toBe(OLD)
    },
  )

  it('refreshes once for many calls, and repeats them', async () => {
    const server = accountServer()
    const session = await createSession({ ...LOGIN, fetch: server.fetch })
    server.valid.clear()
    const to = client(session.fetch)
    const names = await Promise.all(
      [1, 2, 3].map(async () => (await to.query('com.example.getThing', { name: 'x' })).name),
    )
    expect(names).toEqual(['access-1', 'access-1', 'access-1'])
    const refreshes = server.calls.filter((call) => call.includes('refreshSession'))
    expect(refreshes).toEqual(['com.atproto.server.refreshSession refresh-0'])
  })

  it('keeps the session when the server is down, ends it when refused', async () => {
    const server = accountServer()
    const changes: (SessionData | undefined)[] = []
    const session = await createSession({
      ...LOGIN,
      fetch: server.fetch,
      onChange: (data) => void changes.push(data),
    })
    server.valid.clear()
    server.down.value = true
    const to = client(session.fetch, { retry: { attempts: 1 } })
    const call = async (): Promise<unknown> => to.query('com.example.getThing', { name: 'x' })
    await expect(call()).rejects.toMatchObject({ status: 503 })
    expect(session.data).toBeDefined()
    server.down.value = false
    await call()
    const stale = resumeSession(
      { ...session.data!, refreshJwt: 'old', accessJwt: 'old' },
      {
        fetch: server.fetch,
        onChange: (data) => void changes.push(data),
      },
    )
    await expect(stale.refresh()).rejects.toMatchObject({ error: 'ExpiredToken' })
    expect(stale.data).toBeUndefined()
    expect(changes.at(-1)).toBeUndefined()
    await expect(stale.fetch(`${SERVICE}/xrpc/x`, {})).rejects.toThrow(AuthRequiredError)
  })

  it('says when the password is wrong, and logs out', async () => {
    const server = accountServer()
    const wrong = createSession({ ...LOGIN, password: 'wrong', fetch: server.fetch })
    await expect(wrong).rejects.toThrow(AuthRequiredError)
    const session = await createSession({ ...LOGIN, fetch: server.fetch })
    await session.logout()
    expect(server.calls.at(-1)).toBe('com.atproto.server.deleteSession refresh-0')
    expect(session.data).toBeUndefined()
  })
})
