import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { serveNode } from '../src/adapters/node.ts'
import { attachSubscriptions } from '../src/adapters/ws.ts'
import type { AttachedSubscriptions } from '../src/adapters/ws.ts'
import { encodeMessageFrame } from '../src/frame.ts'
import { createRouter } from '../src/router.ts'
import { examples } from './documents.ts'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

/** Heap and array buffers after everything that can go has gone, in MB. */
async function memory(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 1_000_000
}

interface Running extends AsyncDisposable {
  readonly port: number
  readonly http: Server
  readonly attached: AttachedSubscriptions
}

async function start(): Promise<Running> {
  const frame = encodeMessageFrame('#tick', { seq: 1, blocks: new Uint8Array(5_000) })
  const router = createRouter({ lexicons: examples, maxBinaryBytes: 100_000 })
    .add('com.example.getThing', { handler: ({ params }) => ({ name: params.name }) })
    .add('com.example.putThing', { handler: ({ input }) => ({ echo: { ...input } }) })
    .add('com.example.upload', {
      handler: async ({ input }) => {
        let size = 0
        for await (const chunk of input) size += chunk.length
        return { size }
      },
    })
    .add('com.example.listen', {
      handler: async function* ({ params, signal }) {
        for (let i = 0; i < (params.cursor ?? 0); i++) yield frame
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      },
    })
  let attached: AttachedSubscriptions | undefined
  const server = await serveNode(router, {
    attach: (http) => (attached = attachSubscriptions(http, router)),
  })
  if (attached === undefined) throw new Error('not attached')
  return {
    port: Number(new URL(server.url).port),
    attached,
    http: server.server,
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  }
}

const UPGRADE =
  'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

async function open(port: number, cursor: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`GET /xrpc/com.example.listen?cursor=${cursor} HTTP/1.1\r\n${UPGRADE}`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString('latin1', 0, 12)).toBe('HTTP/1.1 101')
  return socket
}

const BOMB = gzipSync(new Uint8Array(20_000_000))

/** One call of each kind, most of them wrong. */
async function round(port: number): Promise<void> {
  const base = `http://127.0.0.1:${port}/xrpc/com.example`
  const post = async (
    path: string,
    type: string,
    body: BodyInit,
    coding?: string,
  ): Promise<number> => {
    const headers = { 'content-type': type, ...(coding && { 'content-encoding': coding }) }
    // Some answers come before the body was sent, and the connection closes on the rest of it.
    const response = await fetch(base + path, { method: 'POST', headers, body }).catch(
      () => undefined,
    )
    await response?.arrayBuffer()
    return response?.status ?? 413
  }
  const statuses = [
    await fetch(`${base}.getThing?name=a`).then(async (r) => (await r.text(), r.status)),
    await fetch(`${base}.getThing`).then(async (r) => (await r.text(), r.status)),
    await fetch(`${base}.nope`).then(async (r) => (await r.text(), r.status)),
    await post('.putThing', 'application/json', '{"name":"a","record":{}}'),
    await post('.putThing', 'application/json', '{"name":'),
    await post('.upload', 'image/png', new Uint8Array(90_000)),
    await post('.upload', 'image/png', new Uint8Array(500_000)),
    await post('.upload', 'image/png', BOMB, 'gzip'),
  ]
  expect(statuses).toEqual([200, 400, 501, 200, 400, 200, 413, 413])
  await abortedUpload(port)
  const socket = await open(port, 20)
  socket.destroy()
}

async function abortedUpload(port: number): Promise<void> {
  const headers = { 'content-type': 'image/png', 'content-length': '50000' }
  const path = '/xrpc/com.example.upload'
  const call = request({ port, host: '127.0.0.1', path, method: 'POST', headers })
  call.on('error', () => undefined)
  call.write(new Uint8Array(10_000))
  await once(call, 'socket')
  await new Promise((resolve) => setImmediate(resolve))
  call.destroy()
}

/** Opens the subscriptions, says so, and holds them until its input ends. A process of its own, with its own file limit. */
const IDLE_CLIENTS = `
const { connect } = require('node:net')
const upgrade = ${JSON.stringify(UPGRADE)}
const open = () => new Promise((resolve, reject) => {
  const socket = connect(Number(process.argv[1]), '127.0.0.1')
  socket.write('GET /xrpc/com.example.listen HTTP/1.1\\r\\n' + upgrade)
  socket.once('data', resolve).once('error', reject)
})
const batch = async () => { for (let i = 0; i < 100; i++) await open() }
Promise.all(Array.from({ length: 100 }, batch)).then(() => console.log('ready'))
process.stdin.resume().on('end', () => process.exit())
`

/** Connections that never become a call, of four kinds in turn. */
const IDLE_SOCKETS = `
const { connect } = require('node:net')
const starts = [
  '',
  'GET /xrpc/com.example.getThing?name=a HTTP/1.1\\r\\nHost: x\\r\\nX-Slow: ',
  'POST /xrpc/com.example.upload HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: image/png\\r\\nContent-Length: 50000\\r\\n\\r\\nabc',
  'POST /xrpc/com.example.putThing HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\n{"nam\\r\\n',
]
let open = 0
const start = (i) => new Promise((resolve, reject) => {
  const socket = connect(Number(process.argv[1]), '127.0.0.1', () => socket.write(starts[i % 4], resolve))
  open++
  socket.on('error', () => undefined).on('close', () => { if (--open === 0) console.log('gone') }).resume()
})
const batch = async (at) => { for (let i = 0; i < 100; i++) await start(at + i) }
Promise.all(Array.from({ length: 100 }, (_, i) => batch(i))).then(() => console.log('ready'))
process.stdin.resume().on('end', () => process.exit())
`

describe('a server under calls of every kind', () => {
  it('keeps a flat heap', async () => {
    await using server = await start()
    for (let i = 0; i < 100; i++) await round(server.port)
    const before = await memory()
    const samples: number[] = []
    for (let part = 0; part < 5; part++) {
      for (let i = 0; i < 200; i++) await round(server.port)
      samples.push((await memory()) - before)
    }
    // A thousand rounds of ten calls: a leak of one kilobyte for each call would show as 10 MB.
    expect(samples.at(-1)).toBeLessThan(4)
    await expect.poll(() => server.attached.size).toBe(0)
  })

  it('holds ten thousand connections that never become a call, and cuts them off in time', async () => {
    await using server = await start()
    const { http } = server
    const connections = async (): Promise<number> =>
      new Promise((resolve) => http.getConnections((_error, count) => resolve(count)))
    const before = await memory()
    const clients = spawn(process.execPath, ['-e', IDLE_SOCKETS, String(server.port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(clients.stdout, 'data')
    await expect.poll(connections, { timeout: 20_000 }).toBe(10_000)
    const held = (await memory()) - before
    expect(held).toBeLessThan(200)
    const response = await fetch(`http://127.0.0.1:${server.port}/xrpc/_health`)
    expect(response.status).toBe(200)
    await response.arrayBuffer()
    // Node's own defaults are a minute for headers and five for a request, looked at every half minute.
    http.headersTimeout = 1_000
    http.requestTimeout = 2_000
    await once(clients.stdout, 'data')
    await expect.poll(connections, { timeout: 20_000 }).toBe(0)
    clients.stdin.end()
    expect((await memory()) - before).toBeLessThan(20)
    process.stdout.write(`10,000 connections that never become a call: ${Math.round(held)} MB\n`)
  })

  it('holds ten thousand idle subscribers, and lets them go', async () => {
    await using server = await start()
    const before = await memory()
    const clients = spawn(process.execPath, ['-e', IDLE_CLIENTS, String(server.port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(clients.stdout, 'data')
    expect(server.attached.size).toBe(10_000)
    const held = (await memory()) - before
    expect(held).toBeLessThan(200)
    const response = await fetch(`http://127.0.0.1:${server.port}/xrpc/_health`)
    expect(response.status).toBe(200)
    clients.stdin.end()
    await expect.poll(() => server.attached.size, { timeout: 20_000 }).toBe(0)
    expect((await memory()) - before).toBeLessThan(20)
    process.stdout.write(`10,000 idle subscribers: ${Math.round(held)} MB\n`)
  })
})
