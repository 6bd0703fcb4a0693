import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { closeServer, createNodeHandler } from '../src/adapters/node.ts'
import { createRouter } from '../src/router.ts'
import { examples } from './documents.ts'

/** The reference server is installed with the benchmarks, which need it as a rival. */
const reference = join(
  import.meta.dirname,
  '../../../bench/node_modules/@atproto/xrpc-server/dist/index.js',
)
const installed = existsSync(reference)
if (!installed) {
  process.emitWarning('skipped: the reference server is not installed (run the benchmarks once)')
}

type ReferenceHandler = (call: {
  readonly params: Readonly<Record<string, unknown>>
  readonly input: { readonly body: unknown }
}) => Promise<unknown>

interface ReferenceModule {
  readonly createServer: (documents: readonly unknown[]) => {
    method(nsid: string, handler: ReferenceHandler): void
    readonly router: RequestListener
  }
  readonly InvalidRequestError: new (message: string, error?: string) => Error
}

function ours(): RequestListener {
  const router = createRouter({ lexicons: examples })
    .add('com.example.getThing', {
      handler: ({ params, error }) => {
        if (params.name === 'missing') throw error('ThingNotFound', 'no such thing')
        if (params.name === 'crash') throw new Error('secret')
        return { ...params }
      },
    })
    .add('com.example.putThing', { handler: ({ input }) => ({ echo: { note: input.note } }) })
    .add('com.example.upload', {
      handler: async ({ input }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size }
      },
    })
    .add('com.example.ping', { handler: () => undefined })
  return createNodeHandler(router)
}

async function theirs(): Promise<RequestListener> {
  const module = (await import(pathToFileURL(reference).href)) as ReferenceModule
  const documents = examples.ids.map((id) => structuredClone(examples.get(id)))
  const server = module.createServer(documents)
  const json = (body: unknown): unknown => ({ encoding: 'application/json', body })
  server.method('com.example.getThing', async ({ params }) => {
    if (params['name'] === 'missing') {
      throw new module.InvalidRequestError('no such thing', 'ThingNotFound')
    }
    if (params['name'] === 'crash') throw new Error('secret')
    return json(params)
  })
  server.method('com.example.putThing', async ({ input }) => {
    const { note } = input.body as { note: unknown }
    return json({ echo: { note } })
  })
  server.method('com.example.upload', async ({ input }) => {
    let size = 0
    for await (const chunk of input.body as AsyncIterable<Uint8Array>) size += chunk.length
    return json({ size })
  })
  server.method('com.example.ping', async () => undefined)
  return server.router
}

async function listen(listener: RequestListener): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => closeServer(server, { timeoutMs: 100 }),
  }
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

const post = (body: BodyInit | undefined, type?: string): RequestInit => ({
  method: 'POST',
  ...(body === undefined ? {} : { body }),
  headers: type === undefined ? {} : { 'content-type': type },
})
const THING = JSON.stringify({ name: 'a', record: {} })

const same: [string, string, RequestInit?][] = [
  ['a query', 'getThing?name=a'],
  ['a query with everything', 'getThing?name=a&limit=7&deep=true&tags=x&tags=y&did=did:web:a'],
  ['an unknown parameter', 'getThing?name=a&other=1'],
  ['a missing parameter', 'getThing'],
  ['a parameter out of range', 'getThing?name=a&limit=1000'],
  ['a parameter of another type', 'getThing?name=a&limit=x'],
  ['a parameter too long', `getThing?name=${'a'.repeat(30)}`],
  ['too many items', 'getThing?name=a&tags=1&tags=2&tags=3&tags=4'],
  ['a parameter of another format', 'getThing?name=a&did=x'],
  ['a declared error', 'getThing?name=missing'],
  ['a crash', 'getThing?name=crash'],
  ['a method nobody has', 'nope'],
  ['a procedure', 'putThing', post(THING, 'application/json')],
  ['a procedure with a charset', 'putThing', post(THING, 'application/json; charset=utf-8')],
  ['an input that is wrong', 'putThing', post('{"name":1}', 'application/json')],
  ['an input that is missing', 'putThing', post(undefined)],
  ['bytes', 'upload', post(new Uint8Array(1000), 'image/png')],
  ['a procedure without input', 'ping', post(undefined)],
  ['a procedure with an input too many', 'ping', post('{}', 'application/json')],
]

/** Where we keep to the specification and the reference does not, or both are allowed: our answer, and theirs. */
const different: [string, string, RequestInit | undefined, string, string][] = [
  ['a repeated scalar', 'getThing?name=a&name=b', undefined, '400 InvalidRequest', '200'],
  ['a boolean that is none', 'getThing?name=a&deep=maybe', undefined, '400 InvalidRequest', '200'],
  ['an exponent', 'getThing?name=a&limit=1e1', undefined, '400 InvalidRequest', '200'],
  ['POST to a query', 'getThing?name=a', post(''), '405 InvalidRequest', '400 InvalidRequest'],
  ['GET to a procedure', 'ping', undefined, '405 InvalidRequest', '400 InvalidRequest'],
  [
    'another content type',
    'putThing',
    post('x', 'text/plain'),
    '415 InvalidRequest',
    '400 InvalidRequest',
  ],
  [
    'an input that is no JSON',
    'putThing',
    post('{', 'application/json'),
    '400 InvalidRequest',
    '400 SyntaxError',
  ],
]

describe.skipIf(!installed)('beside @atproto/xrpc-server', () => {
  async function ask(url: string, path: string, init?: RequestInit): Promise<Answer> {
    const response = await fetch(`${url}/xrpc/com.example.${path}`, init)
    const text = await response.text()
    return {
      status: response.status,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    }
  }

  it('answers the same', async () => {
    await using us = await listen(ours())
    await using them = await listen(await theirs())
    const differences: unknown[] = []
    for (const [what, path, init] of same) {
      const our = await ask(us.url, path, init)
      const their = await ask(them.url, path, init)
      const equal =
        our.status === their.status &&
        (our.status === 200
          ? JSON.stringify(sorted(our.body)) === JSON.stringify(sorted(their.body))
          : nameOf(our) === nameOf(their))
      if (!equal) differences.push({ what, our, their })
    }
    expect(differences).toEqual([])
  })

  it('differs where it means to', async () => {
    await using us = await listen(ours())
    await using them = await listen(await theirs())
    const found: unknown[] = []
    for (const [what, path, init] of different) {
      const answers = [await ask(us.url, path, init), await ask(them.url, path, init)]
      const shown = answers.map((answer) => `${answer.status} ${nameOf(answer) ?? ''}`.trim())
      found.push([what, path, init, ...shown])
    }
    expect(found).toEqual(different)
  })
})

function nameOf({ body }: Answer): string | undefined {
  return (body as { readonly error?: string } | undefined)?.error
}

function sorted(body: unknown): unknown {
  return Object.entries((body ?? {}) as object).toSorted(([a], [b]) => (a < b ? -1 : 1))
}
