import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { closeServer, serveNode } from '../src/adapters/node.ts'
import { attachSubscriptions, openWebSocket } from '../src/adapters/ws.ts'
import { createRouter } from '../src/router.ts'
import { subscribe } from '../src/subscribe.ts'
import { examples } from './documents.ts'
import { installed, listen, loadReference, ours, theirs } from './reference-server.ts'

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

interface Tick {
  readonly $type: '#tick'
  readonly seq: number
  readonly blocks: Uint8Array
}

/** Ticks up to three, then the error that only the operator of the client can cure. */
async function* ticks(cursor: number, failure: Error): AsyncGenerator<Tick, void, void> {
  for (let seq = cursor + 1; seq <= 3; seq++) {
    yield { $type: '#tick', seq, blocks: new Uint8Array([seq]) }
  }
  throw failure
}

const TICKS = [2, 3].map((seq) => ({
  $type: 'com.example.listen#tick',
  seq,
  blocks: new Uint8Array([seq]),
}))

async function take(messages: AsyncIterable<unknown>): Promise<[unknown[], unknown]> {
  const taken: unknown[] = []
  try {
    for await (const message of messages) taken.push(message)
  } catch (error) {
    return [taken, (error as { readonly error?: unknown }).error]
  }
  return [taken, undefined]
}

describe.skipIf(!installed)('subscriptions beside @atproto/xrpc-server', () => {
  it('are read by the reference as it reads its own', async () => {
    const router = createRouter({ lexicons: examples }).add('com.example.listen', {
      handler: ({ params, error }) => ticks(params.cursor ?? 0, error('FutureCursor', 'too far')),
    })
    await using server = await serveNode(router, {
      attach: (http) => attachSubscriptions(http, router),
    })
    const { Subscription } = await loadReference()
    const messages = new Subscription({
      service: server.url.replace('http', 'ws'),
      method: 'com.example.listen',
      getParams: () => ({ cursor: 1 }),
      validate: (message) => message,
    })
    expect(await take(messages)).toEqual([TICKS, 'FutureCursor'])
  })

  it('of the reference are read by this package', async () => {
    const { createServer, InvalidRequestError } = await loadReference()
    const documents = examples.ids.map((id) => structuredClone(examples.get(id)))
    const reference = createServer(documents)
    reference.streamMethod('com.example.listen', ({ params }) =>
      ticks(Number(params['cursor']), new InvalidRequestError('too far', 'FutureCursor')),
    )
    // Being mounted is what makes it listen for upgrades.
    const server = express().use(reference.router).listen(0, '127.0.0.1')
    try {
      await once(server, 'listening')
      const messages = subscribe({
        service: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        lexicons: examples,
        nsid: 'com.example.listen',
        params: { cursor: 1 },
        open: openWebSocket,
      })
      expect(await take(messages)).toEqual([TICKS, 'FutureCursor'])
    } finally {
      await closeServer(server, { timeoutMs: 100 })
    }
  })
})

function nameOf({ body }: Answer): string | undefined {
  return (body as { readonly error?: string } | undefined)?.error
}

function sorted(body: unknown): unknown {
  return Object.entries((body ?? {}) as object).toSorted(([a], [b]) => (a < b ? -1 : 1))
}
