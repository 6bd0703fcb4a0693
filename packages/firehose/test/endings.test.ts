import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { encodeEvent } from '../src/codec.ts'
import { createMemoryCursorStore } from '../src/cursor-store.ts'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import { createMemorySyncStore } from '../src/resync/sync-store.ts'
import { runRepos } from '../src/run.ts'
import { subscribeRepos } from '../src/subscribe.ts'
import type { OpenStream } from '../src/socket.ts'
import type { FirehoseIssue } from '../src/stream-event.ts'
import { createFakeClock, SimulatedNetwork } from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'
import { createEventSockets, createJetstreamSockets } from '../src/ws.ts'
import { listen } from './support/listen.ts'

const service = 'wss://relay.test'
const time = '2027-01-15T08:00:00.000Z'
const did = (n: number) => `did:plc:${String(n).padStart(24, 'a')}`
const identity = (seq: number) => encodeEvent({ type: 'identity', seq, did: did(seq), time }, seq)
const frames = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => identity(from + i))

function scripted(...connections: readonly (readonly Uint8Array[])[]): OpenStream {
  let opened = 0
  return async function* (_url, { signal }) {
    const script = connections[opened++]
    if (script !== undefined) yield* script
    else await new Promise((resolve) => signal.addEventListener('abort', resolve))
  }
}

/** A subscriber that says nothing after the handshake, not even what the protocol of WebSockets wants. */
async function connectMute(url: string, query: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const client = connect(Number(port), hostname)
  const handshake = [
    `GET /subscribe${query} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ]
  client.on('error', () => undefined)
  client.write(`${handshake.join('\r\n')}\r\n\r\n`)
  await once(client, 'data')
  return client
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

function setup() {
  const issues: FirehoseIssue[] = []
  const clock = createFakeClock()
  const options = {
    service,
    verify: false,
    clock,
    onIssue: (issue: FirehoseIssue) => issues.push(issue),
    backoff: { random: () => 1 },
    lagMs: Infinity,
  } as const
  return { issues, clock, options }
}

describe('a run that ends', () => {
  it('begins no handler after its signal aborted', async () => {
    const { options } = setup()
    const stop = new AbortController()
    const begun: number[] = []
    const run = runRepos({
      ...options,
      cursor: 0,
      concurrency: 2,
      signal: stop.signal,
      open: scripted(frames(1, 40), []),
      handle: async ({ seq }) => {
        begun.push(seq)
        await once(stop.signal, 'abort')
      },
    })
    await settle()
    expect(begun).toEqual([1, 2])
    stop.abort()
    await run
    expect(begun).toEqual([1, 2])
  })

  it('gives a loop nothing more after its signal aborted', async () => {
    const { options } = setup()
    const cursor = createMemoryCursorStore({ [service]: 0 })
    const stop = new AbortController()
    const stream = subscribeRepos({
      ...options,
      cursor,
      signal: stop.signal,
      open: scripted(frames(1, 40), []),
    })
    expect((await stream.next()).value).toMatchObject({ seq: 1 })
    await settle()
    stop.abort()
    expect(await stream.next()).toEqual({ value: undefined, done: true })
    await settle()
    expect(await cursor.get(service)).toBe(1)
    expect(await stream.next()).toEqual({ value: undefined, done: true })
  })

  it('waits for the handlers under way when another one fails', async () => {
    const { options } = setup()
    const cursor = createMemoryCursorStore({ [service]: 0 })
    let release = (): void => undefined
    const slow = new Promise<void>((resolve) => (release = resolve))
    const done: number[] = []
    let ended = false
    const run = runRepos({
      ...options,
      cursor,
      handlerAttempts: 1,
      open: scripted(frames(1, 2)),
      handle: async ({ seq }) => {
        if (seq === 2) throw new Error('no')
        await slow
        done.push(seq)
      },
    }).finally(() => {
      ended = true
    })
    const failed = expect(run).rejects.toThrow('no')
    await settle()
    expect(ended).toBe(false)
    release()
    await failed
    expect(done).toEqual([1])
    expect(await cursor.get(service)).toBe(1)
  })

  it('handles what it received before it gives the service up', async () => {
    const { options } = setup()
    const cursor = createMemoryCursorStore({ [service]: 0 })
    let release = (): void => undefined
    const slow = new Promise<void>((resolve) => (release = resolve))
    const done: number[] = []
    const run = runRepos({
      ...options,
      cursor,
      concurrency: 1,
      maxAttempts: 1,
      open: scripted(frames(1, 5)),
      handle: async ({ seq }) => {
        await slow
        done.push(seq)
      },
    })
    const failed = expect(run).rejects.toMatchObject({ code: 'Disconnected' })
    await settle()
    release()
    await failed
    expect(done).toEqual([1, 2, 3, 4, 5])
    expect(await cursor.get(service)).toBe(5)
  })

  it('does not wait for a listing that never answers', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1 })
    const { options } = setup()
    const identities = network.identitySource()
    const stop = new AbortController()
    const run = runRepos({
      ...options,
      verify: createEventVerifier({ identity: identities, chain: createMemoryChainStore() }),
      signal: stop.signal,
      open: scripted(),
      handle: () => undefined,
      resync: {
        identity: identities,
        store: createMemorySyncStore(),
        known: () => new Map(),
        backfill: {
          [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
        },
      },
    })
    await settle()
    stop.abort()
    expect(await run).toMatchObject({ received: 0 })
  })
})

describe('a service whose numbers lie below the cursor', () => {
  it('is not read in silence', async () => {
    const { options, issues, clock } = setup()
    const stop = new AbortController()
    const handled: number[] = []
    let opened = 0
    const run = runRepos({
      ...options,
      cursor: 1_000,
      signal: stop.signal,
      open: async function* (_url, { signal }) {
        yield* opened++ === 0 ? frames(1, 3) : [identity(1_000), identity(1_001)]
        await once(signal, 'abort')
      },
      handle: ({ seq }) => void handled.push(seq),
    })
    await settle()
    expect(issues).toMatchObject([{ kind: 'reconnect', error: { code: 'Disconnected' } }])
    await clock.advance(60_000)
    await settle()
    expect(handled).toEqual([1_001])
    stop.abort()
    await run
  })
})

describe('sockets for strangers', () => {
  const request = (url: string) =>
    ({ url, method: 'GET', headers: {} }) as unknown as IncomingMessage

  it.each([
    ['events', createEventSockets],
    ['a Jetstream', createJetstreamSockets],
  ])('of %s outlive a client that breaks off while it is refused', async (_name, create) => {
    await using sockets = create(createMemoryEventLog())
    for (const url of ['/?cursor=x', '//', '/?cursor=1']) {
      const socket = new PassThrough()
      const closed = new Promise((resolve) => socket.on('close', resolve))
      sockets.upgrade(request(url), socket, new Uint8Array())
      socket.destroy(new Error('reset by peer'))
      await closed
    }
    expect(sockets.size).toBe(0)
  })

  it.each([
    ['events', createEventSockets, ''],
    ['a Jetstream', createJetstreamSockets, '?requireHello=true'],
  ])('of %s drop a client that went away without a word', async (_name, create, query) => {
    const sockets = create(createMemoryEventLog(), { pingMs: 2 })
    await using server = await listen(sockets)
    const client = await connectMute(server.service, query)
    expect(sockets.size).toBe(1)
    // It reads, but answers no ping.
    client.resume()
    await once(client, 'close')
    while (sockets.size > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  it.each([
    ['events', createEventSockets, ''],
    ['a Jetstream', createJetstreamSockets, '?requireHello=true'],
  ])('of %s end a client that does not answer when they go away', async (_name, create, query) => {
    const sockets = create(createMemoryEventLog(), { closeMs: 2 })
    await using server = await listen(sockets)
    const client = await connectMute(server.service, query)
    client.resume()
    const closed = once(client, 'close')
    await sockets[Symbol.asyncDispose]()
    await closed
    expect(sockets.size).toBe(0)
  })

  it('of a Jetstream tell what is wrong with options whatever it is written in', async () => {
    await using server = await listen(createJetstreamSockets(createMemoryEventLog()))
    const client = new WebSocket(`${server.service}/subscribe`)
    await once(client, 'open')
    const wantedCollections = [`${'漢'.repeat(60)}*`]
    client.send(JSON.stringify({ type: 'options_update', payload: { wantedCollections } }))
    const [code] = (await once(client, 'close')) as [number]
    expect(code).toBe(1008)
  })
})
