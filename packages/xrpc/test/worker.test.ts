import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { decodeFrame } from '../src/frame.ts'
import { writeGuideWorker } from './worker-guide.ts'

/** One end of a pair, as Workers have it: it says nothing before it is accepted. */
class PairSocket extends EventTarget {
  peer: PairSocket | undefined
  readyState = 0
  closed: readonly unknown[] | undefined
  readonly received: (Uint8Array | string)[] = []

  accept(): void {
    this.readyState = 1
  }
  send(data: Uint8Array | string): void {
    if (this.readyState !== 1) throw new TypeError('not accepted')
    this.peer?.received.push(data)
  }
  close(code?: number, reason?: string): void {
    for (const end of [this, this.peer]) {
      if (end === undefined) continue
      end.readyState = 3
      end.closed = [code, reason]
      end.dispatchEvent(new Event('close'))
    }
  }
}

function makePair(): object {
  const [client, server] = [new PairSocket(), new PairSocket()]
  client.peer = server
  server.peer = client
  return { 0: client, 1: server }
}

const NodeResponse = Response
/** Takes the status of a completed handshake, which Node's own refuses. */
class WorkerResponse extends NodeResponse {
  readonly webSocket: PairSocket | undefined
  readonly isSwitching: boolean
  constructor(body?: BodyInit | null, init: ResponseInit & { webSocket?: PairSocket } = {}) {
    const { webSocket, ...rest } = init
    super(body, rest.status === 101 ? { ...rest, status: 200 } : rest)
    this.webSocket = webSocket
    this.isSwitching = rest.status === 101
  }
}

interface Worker {
  readonly default: { fetch(request: Request): Promise<WorkerResponse> }
}

let worker: Worker['default']
beforeAll(async () => {
  vi.stubGlobal('Response', WorkerResponse)
  // A constructor may give an object of its own.
  vi.stubGlobal('WebSocketPair', function () {
    return makePair()
  })
  worker = ((await import(writeGuideWorker('worker-node'))) as Worker).default
})
afterAll(() => {
  vi.unstubAllGlobals()
})

const url = 'http://localhost/xrpc/com.example.listen?cursor=5'

it('the Worker of the guide serves queries', async () => {
  const response = await worker.fetch(
    new Request('http://localhost/xrpc/com.example.getThing?name=a'),
  )
  expect([response.status, await response.json()]).toEqual([200, { name: 'a' }])
  const refused = await worker.fetch(new Request(url))
  expect(refused.status).toBe(426)
})

it('the Worker of the guide serves subscriptions, to the error that ends them', async () => {
  const response = await worker.fetch(new Request(url, { headers: { upgrade: 'websocket' } }))
  expect(response.isSwitching).toBe(true)
  expect(response.headers.get('sec-websocket-protocol')).toBeNull()
  const client = response.webSocket
  await expect.poll(() => client?.closed).toEqual([1008, 'FutureCursor'])
  expect(client?.received.map((data) => decodeFrame(data as Uint8Array))).toEqual([
    ...[5, 6, 7].map((seq) => ({ op: 1, type: '#tick', body: { seq } })),
    { op: -1, error: 'FutureCursor', message: 'that was all' },
  ])
})

it('the Worker of the guide names the subprotocol that was agreed on', async () => {
  const headers = { upgrade: 'websocket', 'sec-websocket-protocol': 'xrpc.v1.json' }
  const response = await worker.fetch(new Request(url, { headers }))
  expect(response.headers.get('sec-websocket-protocol')).toBe('xrpc.v1.json')
  await expect.poll(() => response.webSocket?.received.length).toBe(4)
  expect(JSON.parse(String(response.webSocket?.received[0]))).toEqual({
    $type: 'message',
    payload: { $type: 'com.example.listen#tick', seq: 5 },
  })
})
