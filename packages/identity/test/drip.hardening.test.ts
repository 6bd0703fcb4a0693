import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createGuardedFetch, createResolver } from '../src/index.ts'
import { createSafeFetch } from '../src/node/index.ts'
import { createPlcClient } from '../src/plc/index.ts'

/** The time a whole request may take, by a clock that only these tests move. */
const TIMEOUT_MS = 1000
/** From one byte to the next: no limit on idleness is near. */
const STEP_MS = 10
const BYTES = TIMEOUT_MS / STEP_MS

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
/** What a server says before it begins to drip, and what it drips then, again and again. */
const SERVERS: Readonly<Record<string, { readonly head: string; readonly drip: Uint8Array }>> = {
  'a status line without end': { head: 'HTTP/1.1 200 ', drip: bytes('k') },
  'a header without end': { head: `${HEAD}X-Drip: `, drip: bytes('x') },
  'a body of a length that never comes': {
    head: `${HEAD}Content-Length: 50000\r\n\r\n`,
    drip: bytes(' '),
  },
  'a body of chunks of one byte': {
    head: `${HEAD}Transfer-Encoding: chunked\r\n\r\n`,
    drip: bytes('1\r\n \r\n'),
  },
  'a body until the connection ends': { head: `${HEAD}\r\n`, drip: bytes(' ') },
  'a compressed body': {
    head: `${HEAD}Content-Encoding: gzip\r\n\r\n`,
    drip: gzipSync(' '.repeat(100)),
  },
}

beforeEach(() => {
  // Node's own timers of sockets are not among these: they go by real time, in which nothing here takes long.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A server that sends a little, then a little more every step of the clock, until it is cut off. */
async function serveDrip({ head, drip }: { readonly head: string; readonly drip: Uint8Array }) {
  let sent = 0
  const cut = Promise.withResolvers<void>()
  const dripOver = async (socket: Socket): Promise<void> => {
    await once(socket, 'data')
    socket.write(head)
    while (!socket.destroyed) {
      socket.write(Uint8Array.of(drip[sent % drip.length] ?? 0))
      sent++
      // As much real time as the byte needs to arrive, and as little of the client's as a patient server leaves.
      await new Promise((resolve) => setImmediate(resolve))
      vi.advanceTimersByTime(STEP_MS)
    }
  }
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('close', () => {
      cut.resolve()
    })
    dripOver(socket).catch(cut.reject)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    cut: cut.promise,
    sent: () => sent,
    [Symbol.dispose]() {
      server.close()
    },
  }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

describe.each(Object.entries(SERVERS))('a server that drips %s', (_what, script) => {
  it.each([
    ['createSafeFetch', () => createSafeFetch({ dev: true, timeoutMs: TIMEOUT_MS })],
    ['createGuardedFetch', () => createGuardedFetch({ dev: true, timeoutMs: TIMEOUT_MS })],
  ])('is cut off by %s when the time is over', async (_name, createFetch) => {
    using server = await serveDrip(script)
    const reading = createFetch()(server.url).then((response) => response.text())
    await expect(reading).rejects.toMatchObject({ name: 'TimeoutError' })
    await server.cut
    expect(server.sent()).toBeGreaterThanOrEqual(BYTES)
  })

  it('costs a directory or a did:web its answer, retryable', async () => {
    using server = await serveDrip(script)
    const client = createPlcClient({ url: server.url, timeoutMs: TIMEOUT_MS })
    await expect(client.resolve('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')).rejects.toMatchObject({
      code: 'PlcRequestFailed',
      status: undefined,
      retryable: true,
    })
    await server.cut
    expect(server.sent()).toBeGreaterThanOrEqual(BYTES)

    using host = await serveDrip(script)
    const resolver = createResolver({ dev: true, timeoutMs: TIMEOUT_MS })
    const did = `did:web:localhost%3A${new URL(host.url).port}`
    await expect(resolver.resolveDid(did)).rejects.toMatchObject({
      code: 'ResolutionFailed',
      family: 'CouldNotAsk',
      step: 'did-web',
      retryable: true,
    })
    await host.cut
    expect(host.sent()).toBeGreaterThanOrEqual(BYTES)
  })
})

it('hands over what dripped in until the time was over', async () => {
  using server = await serveDrip({ head: `${HEAD}\r\n`, drip: bytes('drip') })
  const response = await createSafeFetch({ dev: true, timeoutMs: TIMEOUT_MS })(server.url)
  let text = ''
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk)
  })()
  await expect(reading).rejects.toMatchObject({ name: 'TimeoutError' })
  await server.cut
  expect(text.length).toBeGreaterThan(BYTES / 2)
  expect('drip'.repeat(BYTES)).toContain(text)
})
