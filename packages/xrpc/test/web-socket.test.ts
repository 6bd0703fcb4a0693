import { describe, expect, it } from 'vitest'
import { XrpcError } from '../src/errors.ts'
import { decodeFrame, encodeMessageFrame } from '../src/frame.ts'
import type { Frame } from '../src/frame.ts'
import { createRouter } from '../src/router.ts'
import type { Router } from '../src/router.ts'
import { decodeJsonFrame } from '../src/subprotocol.ts'
import type { ServerSocket } from '../src/web-socket.ts'
import { examples } from './documents.ts'
import type { ExampleDocuments } from './documents.ts'

/** A standard socket that keeps what is sent through it. */
class FakeSocket extends EventTarget implements ServerSocket {
  readyState = 0
  bufferedAmount = 0
  readonly frames: Frame[] = []
  closed: [number | undefined, string | undefined] | undefined

  send(data: Uint8Array | string): void {
    this.frames.push(typeof data === 'string' ? decodeJsonFrame(data) : decodeFrame(data))
  }

  close(code?: number, reason?: string): void {
    this.closed = [code, reason]
    this.readyState = 3
    this.dispatchEvent(new Event('close'))
  }

  open(): void {
    this.readyState = 1
    this.dispatchEvent(new Event('open'))
  }
}

async function connect(
  router: Router<ExampleDocuments>,
  path = '/xrpc/com.example.listen?cursor=3',
): Promise<{ socket: FakeSocket; response: Response }> {
  const socket = new FakeSocket()
  const request = new Request(`http://localhost${path}`, { headers: { upgrade: 'websocket' } })
  const response = await router.fetch(request, {
    upgrade: () => ({ socket, response: new Response(null, { headers: { 'x-upgraded': '1' } }) }),
  })
  return { socket, response }
}

describe('router.fetch with upgrade', () => {
  it('sends frames once the socket is open, and closes as the stream ends', async () => {
    const router = createRouter({ lexicons: examples }).add('com.example.listen', {
      handler: async function* ({ params }) {
        yield { $type: '#tick', seq: params.cursor ?? 0 }
        throw new XrpcError(400, 'FutureCursor')
      },
    })
    const { socket, response } = await connect(router)
    expect(response.headers.get('x-upgraded')).toBe('1')
    expect(socket.frames).toEqual([])
    socket.open()
    await expect.poll(() => socket.closed).toEqual([1008, 'FutureCursor'])
    expect(socket.frames).toEqual([
      { op: 1, type: '#tick', body: { seq: 3 } },
      { op: -1, error: 'FutureCursor', message: 'FutureCursor' },
    ])
  })

  it.each<[string, unknown]>([
    ['a message without a field', { $type: '#tick' }],
    ['a field of another type', { $type: 'com.example.listen#tick', seq: 'one' }],
    ['a message that the lexicon does not have', { $type: '#tack' }],
    ['a message of another lexicon', { $type: 'com.example.other#tick', seq: 1 }],
    ['a value without $type', { seq: 1 }],
  ])('ends with an error frame on %s, when told to check', async (_what, wrong) => {
    const errors: unknown[] = []
    const router = createRouter({
      lexicons: examples,
      validateOutput: true,
      onError: (error) => errors.push(error),
    }).add('com.example.listen', {
      handler: async function* () {
        yield { $type: '#tick', seq: 1, blocks: { $bytes: 'AQ' } }
        yield { $type: 'com.example.listen#tick', seq: 2, extra: true }
        yield encodeMessageFrame('#tack', {})
        yield wrong as { $type: '#tock' }
        yield { $type: '#tock' }
      },
    })
    const { socket } = await connect(router)
    socket.open()
    await expect.poll(() => socket.closed).toEqual([1008, 'InternalServerError'])
    expect(socket.frames).toEqual([
      { op: 1, type: '#tick', body: { seq: 1, blocks: Uint8Array.of(1) } },
      { op: 1, type: '#tick', body: { seq: 2, extra: true } },
      { op: 1, type: '#tack', body: {} },
      { op: -1, error: 'InternalServerError', message: 'internal server error' },
    ])
    expect(errors).toHaveLength(1)
  })

  it('waits while the socket is full, and aborts the handler when it closes', async () => {
    let produced = 0
    let ended = false
    const router = createRouter({ lexicons: examples }).add('com.example.listen', {
      handler: async function* ({ signal }) {
        while (!signal.aborted) {
          produced++
          yield { $type: '#tock' }
        }
        ended = true
      },
    })
    const { socket } = await connect(router)
    socket.bufferedAmount = 2_000_000
    socket.open()
    await expect.poll(() => produced).toBe(1)
    socket.bufferedAmount = 0
    await expect.poll(() => produced).toBeGreaterThan(10)
    socket.close()
    await expect.poll(() => ended).toBe(true)
  })

  it('names the subprotocol it agreed to, in the way of Deno', async () => {
    const router = createRouter({ lexicons: examples, jsonSubscriptions: true })
    router.add('com.example.listen', {
      handler: async function* () {
        yield { $type: '#tick', seq: 1 }
      },
    })
    const socket = new FakeSocket()
    const headers = { upgrade: 'websocket', 'sec-websocket-protocol': 'soap, xrpc.v1.json' }
    let protocol: string | undefined
    await router.fetch(new Request('http://localhost/xrpc/com.example.listen', { headers }), {
      upgrade: (_request, options) => {
        protocol = options.protocol
        return { socket, response: new Response() }
      },
    })
    socket.open()
    await expect.poll(() => socket.closed).toEqual([1000, ''])
    expect(protocol).toBe('xrpc.v1.json')
    expect(socket.frames).toEqual([{ op: 1, type: 'com.example.listen#tick', body: { seq: 1 } }])
  })

  it('refuses before it upgrades', async () => {
    const router = createRouter({ lexicons: examples })
    const { response } = await connect(router)
    expect(response.status).toBe(501)
    expect(response.headers.get('x-upgraded')).toBeNull()
  })
})
