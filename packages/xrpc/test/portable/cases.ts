/**
 * The core of the router suite without a test runner or anything of Node: the same bundle runs on Node, Bun, Deno and workerd.
 */
import { generatePrivateKey } from '@skywright/identity/keys'
import { createMemoryResolver } from '@skywright/identity/testing'
import {
  createClient,
  createProxy,
  createRateLimit,
  createRouter,
  createServiceAuthVerifier,
  createServiceJwt,
  reply,
  XrpcError,
} from '../../src/index.ts'
import type { Router } from '../../src/index.ts'
import { createForgeries } from '../../src/testing/index.ts'
import { examples } from '../documents.ts'
import type { ExampleDocuments } from '../documents.ts'
import { readSubscription } from './sockets.ts'

interface Case {
  readonly name: string
  readonly run: () => Promise<void>
}

/** What a run of all cases gives, as JSON. */
export interface Outcome {
  readonly passed: number
  readonly failed: readonly string[]
}

const ORIGIN = 'http://localhost'
const AUDIENCE = 'did:web:service.test#thing'

function equal(actual: unknown, expected: unknown, what: string): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== should) throw new Error(`${what}: ${is} is not ${should}`)
}

function service(): Router<ExampleDocuments> {
  return createRouter({ lexicons: examples, maxBinaryBytes: 100_000 })
    .add('com.example.getThing', {
      handler: ({ params, error }) => {
        if (params.name === 'missing') throw error('ThingNotFound', 'no such thing')
        if (params.name === 'crash') throw new Error('secret detail')
        return { name: params.name, limit: params.limit, tags: params.tags ?? [] }
      },
    })
    .add('com.example.putThing', { handler: ({ input }) => ({ echo: { ...input } }) })
    .add('com.example.upload', {
      handler: async ({ input, encoding }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size, type: String(encoding) }
      },
    })
    .add('com.example.download', { handler: ({ params }) => reply(chunks(params.size)) })
    .add('com.example.ping', { handler: () => undefined })
    .add('com.example.listen', {
      handler: async function* ({ params }) {
        yield { $type: '#tick', seq: params.cursor ?? 0 }
        throw new XrpcError(400, 'FutureCursor')
      },
    })
}

async function* chunks(count: number): AsyncGenerator<Uint8Array, void, void> {
  for (let i = 0; i < count; i++) yield new Uint8Array(1_000)
}

async function answer(path: string, init?: RequestInit): Promise<[number, unknown]> {
  const response = await service().fetch(new Request(ORIGIN + path, init))
  return [response.status, await response.json()]
}

async function expectError(
  path: string,
  init: RequestInit,
  status: number,
  name: string,
): Promise<void> {
  const [got, body] = await answer(path, init)
  equal([got, (body as { error?: unknown }).error], [status, name], path)
}

function post(body: BodyInit, type: string, headers: Record<string, string> = {}): RequestInit {
  return { method: 'POST', body, headers: { 'content-type': type, ...headers } }
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))
  return new Response(stream).arrayBuffer()
}

const GET = '/xrpc/com.example.getThing'
const UPLOAD = '/xrpc/com.example.upload'

const CASES: readonly Case[] = [
  {
    name: 'a query gets its parameters, defaults included',
    run: async () => {
      const expected = { name: 'a', limit: 50, tags: ['x', 'y'] }
      equal(await answer(`${GET}?name=a&tags=x&tags=y&z=1`), [200, expected], 'answer')
    },
  },
  {
    name: 'malformed calls are refused by name',
    run: async () => {
      await expectError(GET, {}, 400, 'InvalidRequest')
      await expectError(`${GET}?name=a&name=b`, {}, 400, 'InvalidRequest')
      await expectError(`${GET}?name=a&limit=007`, {}, 400, 'InvalidRequest')
      await expectError(`${GET}?name=%E0%A4`, {}, 400, 'InvalidRequest')
      await expectError(GET, { method: 'POST' }, 405, 'InvalidRequest')
      await expectError('/xrpc/com.example.nope', {}, 501, 'MethodNotImplemented')
      await expectError('/xrpc/com.example.listen', {}, 426, 'UpgradeRequired')
      await expectError('/elsewhere', {}, 404, 'NotFound')
      await expectError(`${GET}?name=missing`, {}, 400, 'ThingNotFound')
      await expectError(`${GET}?name=crash`, {}, 500, 'InternalServerError')
    },
  },
  {
    name: 'JSON input is checked, its links and bytes kept',
    run: async () => {
      const record = { data: { $bytes: 'AQI' }, text: 'é' }
      const path = '/xrpc/com.example.putThing'
      const body = JSON.stringify({ name: 'a', record })
      const expected = { echo: { name: 'a', record, note: 'none' } }
      equal(await answer(path, post(body, 'application/json')), [200, expected], 'echo')
      await expectError(path, post('{', 'application/json'), 400, 'InvalidRequest')
      await expectError(path, post('{"name":1.5}', 'application/json'), 400, 'InvalidRequest')
      await expectError(path, post(body, 'text/plain'), 415, 'InvalidRequest')
    },
  },
  {
    name: 'uploads stream within their bound, decompressed or not',
    run: async () => {
      const small = new Uint8Array(50_000)
      const type = 'image/png'
      equal(await answer(UPLOAD, post(small, type)), [200, { size: 50_000, type }], 'plain')
      const packed = post(await gzip(small), type, { 'content-encoding': 'gzip' })
      equal(await answer(UPLOAD, packed), [200, { size: 50_000, type }], 'gzip')
      await expectError(UPLOAD, post(new Uint8Array(100_001), type), 413, 'PayloadTooLarge')
      const bomb = post(await gzip(new Uint8Array(5_000_000)), type, { 'content-encoding': 'gzip' })
      await expectError(UPLOAD, bomb, 413, 'PayloadTooLarge')
      const broken = post(new Uint8Array(100), type, { 'content-encoding': 'gzip' })
      await expectError(UPLOAD, broken, 400, 'InvalidRequest')
    },
  },
  {
    name: 'downloads stream, and HEAD has no body',
    run: async () => {
      const path = '/xrpc/com.example.download?size=50'
      const response = await service().fetch(new Request(ORIGIN + path))
      equal(response.headers.get('content-type'), 'application/vnd.ipld.car', 'type')
      equal((await response.arrayBuffer()).byteLength, 50_000, 'length')
      const head = await service().fetch(new Request(ORIGIN + path, { method: 'HEAD' }))
      equal([head.status, (await head.arrayBuffer()).byteLength], [200, 0], 'HEAD')
    },
  },
  {
    name: 'a preflight allows any origin',
    run: async () => {
      const request = new Request(ORIGIN + GET, { method: 'OPTIONS' })
      const response = await service().fetch(request)
      equal(response.status, 204, 'status')
      equal(response.headers.get('access-control-allow-origin'), '*', 'origin')
    },
  },
  {
    name: 'the client calls queries and procedures, and gives errors by name',
    run: async () => {
      const router = service()
      const client = createClient({
        service: ORIGIN,
        lexicons: examples,
        fetch: async (url, init) => router.fetch(new Request(url, init)),
      })
      equal((await client.query('com.example.getThing', { name: 'a' })).name, 'a', 'query')
      const { size } = await client.procedure('com.example.upload', new Uint8Array(9))
      equal(size, 9, 'upload')
      const failed = await client
        .query('com.example.getThing', { name: 'missing' })
        .catch((error: unknown) => (error instanceof XrpcError ? error.error : 'other'))
      equal(failed, 'ThingNotFound', 'error')
    },
  },
  {
    name: 'limits answer 429 with their headers',
    run: async () => {
      const limit = createRateLimit({ name: 'all', points: 1, windowSeconds: 60 })
      const router = createRouter({ lexicons: examples, limits: [limit] })
      router.add('com.example.ping', { handler: () => undefined })
      const ping = async (): Promise<Response> =>
        router.fetch(new Request(`${ORIGIN}/xrpc/com.example.ping`, { method: 'POST' }), {
          ip: '1',
        })
      equal((await ping()).status, 200, 'first')
      const second = await ping()
      equal([second.status, second.headers.get('ratelimit-remaining')], [429, '0'], 'second')
    },
  },
  {
    name: 'service tokens verify, forged ones do not',
    run: async () => {
      for (const curve of ['k256', 'p256'] as const) {
        const key = generatePrivateKey(curve)
        const resolver = createMemoryResolver()
        const iss = 'did:web:alice.test'
        resolver.setAccount({ did: iss, signingKey: key.publicKey })
        const verifier = createServiceAuthVerifier({ audience: [AUDIENCE], resolver })
        const lxm = 'com.example.ping'
        const token = await createServiceJwt({ iss, aud: AUDIENCE, lxm, key })
        equal((await verifier.verify(token, { lxm })).iss, iss, curve)
        const [labelKey, strangerKey] = [generatePrivateKey(curve), generatePrivateKey(curve)]
        const options = { iss, aud: AUDIENCE, lxm, key, labelKey, strangerKey, now: Date.now }
        let refused = 0
        const forgeries = await createForgeries(options)
        for (const forgery of forgeries) {
          if (forgery.before !== undefined) await verifier.verify(forgery.before, { lxm })
          const passed = await verifier.verify(forgery.token, { lxm }).then(
            () => true,
            () => false,
          )
          if (passed) throw new Error(`${curve}: ${forgery.name} passed`)
          refused++
        }
        if (refused < 60) throw new Error(`only ${refused} forgeries`)
      }
    },
  },
  {
    name: 'the proxy streams an answer through',
    run: async () => {
      const upstream = service()
      const proxy = createProxy({
        resolver: createMemoryResolver(),
        services: [{ did: 'did:web:view.test', serviceId: 'view', url: 'https://view.test' }],
        createToken: async () => 'token',
        fetch: async () => Promise.reject(new Error('not for strangers')),
        trustedFetch: async (url, init) => upstream.fetch(new Request(url, init)),
      })
      const router = createRouter({ lexicons: examples })
      router.fallback(async (call) => proxy.forward(call, { iss: 'did:web:alice.test' }))
      const headers = { 'atproto-proxy': 'did:web:view.test#view' }
      const response = await router.fetch(new Request(`${ORIGIN}${GET}?name=far`, { headers }))
      equal(((await response.json()) as { name: string }).name, 'far', 'answer')
    },
  },
  {
    name: 'subscriptions go over the sockets of the runtime',
    run: async () => {
      const frames = await readSubscription(service(), '/xrpc/com.example.listen?cursor=7')
      const expected = [
        { op: 1, type: '#tick', body: { seq: 7 } },
        { op: -1, error: 'FutureCursor', message: 'FutureCursor' },
      ]
      if (frames !== undefined) equal(frames, expected, 'frames')
    },
  },
]

/** How many cases there are. */
export const caseCount: number = CASES.length

/** Runs all cases, one after the other. */
export async function runPortableCases(): Promise<Outcome> {
  const failed: string[] = []
  for (const { name, run } of CASES) {
    try {
      await run()
    } catch (error) {
      failed.push(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : 'failed'}`)
    }
  }
  return { passed: CASES.length - failed.length, failed }
}
