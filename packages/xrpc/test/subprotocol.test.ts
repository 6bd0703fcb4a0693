import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { serveNode } from '../src/adapters/node.ts'
import { attachSubscriptions, openWebSocket } from '../src/adapters/ws.ts'
import { InvalidFrameError, XrpcError } from '../src/errors.ts'
import { decodeFrame, encodeErrorFrame, encodeMessageFrame } from '../src/frame.ts'
import { createCatalog } from '../src/catalog.ts'
import { lexicon } from '../src/lexicon-document.ts'
import { createRouter } from '../src/router.ts'
import { openPlatformStream } from '../src/stream-connection.ts'
import { subscribe } from '../src/subscribe.ts'
import { decodeJsonFrame, negotiate, supported } from '../src/subprotocol.ts'
import { examples } from './documents.ts'

const PATH = '/xrpc/com.example.listen'
const blocks = Uint8Array.of(1, 2, 255)

async function start(jsonSubscriptions: boolean): Promise<AsyncDisposable & { url: string }> {
  const router = createRouter({ lexicons: examples, jsonSubscriptions })
  router.add('com.example.listen', {
    handler: async function* () {
      yield { $type: '#tick', seq: 1, blocks }
      yield encodeMessageFrame('#tick', { seq: 2, blocks })
      throw new XrpcError(400, 'FutureCursor', 'ahead')
    },
  })
  const server = await serveNode(router, { attach: (http) => attachSubscriptions(http, router) })
  return {
    url: server.url.replace('http', 'ws'),
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  }
}

async function listen(
  url: string,
  offers: string[],
): Promise<{ protocol: string; messages: unknown[] }> {
  const socket = new WebSocket(url + PATH, offers)
  const messages: unknown[] = []
  socket.on('message', (data: Buffer, isBinary) => {
    messages.push(isBinary ? decodeFrame(data) : JSON.parse(data.toString()))
  })
  let protocol = ''
  socket.on('open', () => (protocol = socket.protocol))
  socket.on('error', () => (protocol = 'failed'))
  await new Promise((resolve) => socket.on('close', resolve))
  return { protocol, messages }
}

const CBOR = [
  { op: 1, type: '#tick', body: { seq: 1, blocks } },
  { op: 1, type: '#tick', body: { seq: 2, blocks } },
  { op: -1, error: 'FutureCursor', message: 'ahead' },
]
const JSON_TICK = { $type: 'com.example.listen#tick', blocks: { $bytes: 'AQL/' } }
const JSON_FRAMES = [
  { $type: 'message', payload: { ...JSON_TICK, seq: 1 } },
  { $type: 'message', payload: { ...JSON_TICK, seq: 2 } },
  { $type: 'error', error: 'FutureCursor', message: 'ahead' },
]

describe('subprotocols of subscriptions', () => {
  it.each([
    [true, [], '', CBOR],
    [true, ['xrpc.v1.json'], 'xrpc.v1.json', JSON_FRAMES],
    [true, ['xrpc.v1.cbor', 'xrpc.v1.json', 'xrpc.v0.cbor'], 'xrpc.v1.json', JSON_FRAMES],
    [true, ['xrpc.v0.cbor', 'xrpc.v1.json'], 'xrpc.v0.cbor', CBOR],
    [true, ['XRPC.V1.JSON'], 'failed', []],
    [false, [], '', CBOR],
    [false, ['xrpc.v1.json', 'xrpc.v0.cbor'], 'xrpc.v0.cbor', CBOR],
    [false, ['xrpc.v1.json'], 'failed', []],
  ])('with the flag %s and offers %j agree on %j', async (flag, offers, protocol, messages) => {
    await using server = await start(flag)
    expect(await listen(server.url, offers)).toEqual({ protocol, messages })
  })

  it.each([
    [undefined, openWebSocket],
    [undefined, openPlatformStream],
    ['xrpc.v0.cbor', openWebSocket],
  ])('give a client the same messages in either framing', async (only, open) => {
    await using server = await start(only === undefined)
    const seen: unknown[] = []
    const read = async (): Promise<void> => {
      for await (const message of subscribe({
        service: server.url,
        lexicons: examples,
        nsid: 'com.example.listen',
        jsonFrames: true,
        open,
      })) {
        seen.push(message)
      }
    }
    await expect(read()).rejects.toMatchObject({ error: 'FutureCursor', message: 'ahead' })
    const $type = 'com.example.listen#tick'
    expect(seen).toEqual([
      { $type, seq: 1, blocks },
      { $type, seq: 2, blocks },
    ])
  })

  it('fall back to what the lexicon names, which a router must speak to serve it', () => {
    const lexicons = createCatalog(
      lexicon({
        lexicon: 1,
        id: 'com.example.json',
        defs: {
          main: {
            type: 'subscription',
            subprotocol: 'xrpc.v1.json',
            message: { schema: { type: 'union', refs: ['#tick'] } },
          },
          tick: { type: 'object', properties: {} },
        },
      }),
    )
    const handler = async function* (): AsyncGenerator<never> {}
    const method = { handler } as never
    expect(() => createRouter({ lexicons }).add('com.example.json', method)).toThrow(TypeError)
    createRouter({ lexicons, jsonSubscriptions: true }).add('com.example.json', method)
    expect(negotiate('soap', supported(true), 'xrpc.v1.json')).toEqual({
      subprotocol: 'xrpc.v1.json',
      offered: false,
    })
  })
})

describe('decodeJsonFrame', () => {
  it.each([
    ['', 'nothing'],
    ['[]', 'a list'],
    ['null', 'null'],
    ['{}', 'no $type'],
    ['{"$type":1}', 'a $type that is a number'],
    ['{"$type":"message"}', 'no payload'],
    ['{"$type":"message","payload":[]}', 'a payload that is a list'],
    ['{"$type":"message","payload":{"$bytes":"AA"}}', 'a payload that is bytes'],
    ['{"$type":"message","payload":{}}', 'a payload without $type'],
    ['{"$type":"message","payload":{"$type":"a.b.c#d","x":1.5}}', 'a float'],
    ['{"$type":"error"}', 'an error without name'],
    ['{"$type":"message","payload":{"$type":"a.b.c#d"}}{}', 'two objects'],
    [`{"$type":"x","a":${'['.repeat(100)}${']'.repeat(100)}}`, 'deep nesting'],
  ])('refuses %s (%s)', (text) => {
    expect(() => decodeJsonFrame(text)).toThrow(InvalidFrameError)
  })

  it('bounds the length, and lets unknown kinds through as such', () => {
    const text = '{"$type":"later","a":1}'
    expect(() => decodeJsonFrame(text, { maxBytes: 10 })).toThrow(InvalidFrameError)
    expect(decodeJsonFrame(text)).toMatchObject({ op: 'unknown', type: 'later' })
    expect(() => decodeFrame(encodeErrorFrame('x'), { maxBytes: 1 })).toThrow(InvalidFrameError)
  })
})
