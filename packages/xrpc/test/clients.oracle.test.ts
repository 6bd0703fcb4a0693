import { AtpAgent, XRPCError } from '@atproto/api'
import { xrpcSafe } from '@atproto/lex-client'
import { l } from '@atproto/lex-schema'
import { describe, expect, it } from 'vitest'
import { createClient } from '../src/client.ts'
import { XrpcError } from '../src/errors.ts'
import { examples } from './documents.ts'
import { installed, listen, ours, theirs } from './reference-server.ts'

/** One call, and what every caller of every server has to make of it: the output, or status and name of the error. */
interface Case {
  readonly method: keyof typeof methods
  readonly params?: Readonly<Record<string, unknown>>
  readonly input?: unknown
  readonly encoding?: string
  readonly outcome: unknown
}

/** What `@atproto/lex` generates from the example documents, less the limits: the servers are to find what is wrong. */
const methods = {
  'com.example.getThing': l.query(
    'com.example.getThing',
    l.params({
      name: l.optional(l.string()),
      limit: l.optional(l.integer()),
      deep: l.optional(l.boolean()),
      tags: l.optional(l.array(l.string())),
      did: l.optional(l.string()),
    }),
    l.payload('application/json', l.lexMap()),
    ['ThingNotFound'],
  ),
  'com.example.download': l.query(
    'com.example.download',
    l.params({ size: l.optional(l.integer()) }),
    l.payload('application/vnd.ipld.car'),
  ),
  'com.example.putThing': l.procedure(
    'com.example.putThing',
    l.params(),
    l.payload('application/json', l.lexMap()),
    l.payload('application/json', l.lexMap()),
  ),
  'com.example.upload': l.procedure(
    'com.example.upload',
    l.params(),
    l.payload('*/*'),
    l.payload('application/json', l.lexMap()),
  ),
  'com.example.ping': l.procedure('com.example.ping', l.params(), l.payload(), l.payload()),
} as const

const cases: readonly Case[] = [
  {
    method: 'com.example.getThing',
    params: { name: 'a b&c=é' },
    outcome: { name: 'a b&c=é', limit: 50 },
  },
  {
    method: 'com.example.getThing',
    params: { name: 'a', limit: 7, deep: false, tags: ['x', 'y'], did: 'did:web:a' },
    outcome: { name: 'a', limit: 7, deep: false, tags: ['x', 'y'], did: 'did:web:a' },
  },
  { method: 'com.example.getThing', params: { name: 'missing' }, outcome: [400, 'ThingNotFound'] },
  { method: 'com.example.getThing', outcome: [400, 'InvalidRequest'] },
  {
    method: 'com.example.getThing',
    params: { name: 'a', limit: 101 },
    outcome: [400, 'InvalidRequest'],
  },
  {
    method: 'com.example.getThing',
    params: { name: 'a', tags: ['1', '2', '3', '4'] },
    outcome: [400, 'InvalidRequest'],
  },
  {
    method: 'com.example.getThing',
    params: { name: 'crash' },
    outcome: [500, 'InternalServerError'],
  },
  { method: 'com.example.download', params: { size: 3 }, outcome: new Uint8Array(3) },
  { method: 'com.example.download', outcome: new Uint8Array(10) },
  {
    method: 'com.example.putThing',
    input: { name: 'a', record: { $type: 'a.b.c' } },
    outcome: { echo: { note: 'none' } },
  },
  {
    method: 'com.example.putThing',
    input: { name: 'a', record: {}, note: '👋', other: 1 },
    outcome: { echo: { note: '👋' } },
  },
  { method: 'com.example.putThing', input: { name: 'a' }, outcome: [400, 'InvalidRequest'] },
  {
    method: 'com.example.putThing',
    input: { name: 'abcdef', record: {} },
    outcome: [400, 'InvalidRequest'],
  },
  {
    method: 'com.example.upload',
    input: new Uint8Array(5_000),
    encoding: 'image/png',
    outcome: { size: 5_000 },
  },
  {
    method: 'com.example.upload',
    input: new Uint8Array(),
    encoding: 'image/png',
    outcome: { size: 0 },
  },
  { method: 'com.example.ping', outcome: undefined },
]

type Caller = (service: string, call: Case) => Promise<unknown>

async function byApi(service: string, call: Case): Promise<unknown> {
  const agent = new AtpAgent({ service })
  for (const id of examples.ids) {
    // The agents of one process share the documents of the client.
    if (agent.lex.get(id) === undefined) agent.lex.add(structuredClone(examples.get(id)) as never)
  }
  const { method, params, input, encoding } = call
  const options = encoding === undefined ? {} : { encoding }
  try {
    const { data } = (await agent.call(method, params as never, input, options)) as {
      readonly data: unknown
    }
    // What it makes of an answer without a body.
    return data instanceof Uint8Array && data.length === 0 ? undefined : data
  } catch (error) {
    if (!(error instanceof XRPCError)) throw error
    return [error.status, error.error]
  }
}

async function byLex(service: string, call: Case): Promise<unknown> {
  const { params = {}, input, encoding } = call
  const options = { params, ...(input === undefined ? {} : { body: input, encoding }) }
  const result = await xrpcSafe(service, methods[call.method] as never, options as never)
  const { success, error, body, response } = result as unknown as {
    readonly success: boolean
    readonly error?: string
    readonly body?: unknown
    readonly response?: Response
  }
  return success ? body : [response?.status, error]
}

async function byOurs(service: string, call: Case): Promise<unknown> {
  const client = createClient({ service, lexicons: examples, retry: { attempts: 1 } })
  const { method, params, input, encoding } = call
  const options = encoding === undefined ? {} : { encoding }
  try {
    const output: unknown =
      methods[method].type === 'query'
        ? await client.query(method as never, params as never)
        : await client.procedure(method as never, input as never, options)
    return output instanceof ReadableStream
      ? new Uint8Array(await new Response(output).arrayBuffer())
      : output
  } catch (error) {
    if (!(error instanceof XrpcError)) throw error
    return [error.status, error.error]
  }
}

const callers: [string, Caller][] = [
  ['@atproto/api', byApi],
  ['@atproto/lex', byLex],
  ['our client', byOurs],
]

describe.each(callers)('%s as the caller', (_name, call) => {
  async function outcomes(service: string): Promise<unknown[]> {
    const found: unknown[] = []
    for (const one of cases) found.push(await call(service, one))
    return found
  }
  const expected = cases.map(({ outcome }) => outcome)

  it('understands this package', async () => {
    await using server = await listen(ours())
    expect(await outcomes(server.url)).toEqual(expected)
  })

  it.skipIf(!installed)('understands the reference alike', async () => {
    await using server = await listen(await theirs())
    expect(await outcomes(server.url)).toEqual(expected)
  })
})
