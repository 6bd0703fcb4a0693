import { once } from 'node:events'
import { connect } from 'node:net'
import { type StreamEvent } from '@skywright/firehose'
import { subscribeJetstream } from '@skywright/firehose/jetstream'
import { openWebSocket } from '@skywright/firehose/ws'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readConfig, startReplica } from '../src/index.ts'
import { ZSTD_DICTIONARY } from './support/dictionary.ts'
import type { FakeAccount, FakeHost } from './support/host.ts'
import { ADMIN_HEADERS, startTestNetwork, type TestNetwork } from './support/relay.ts'
import { type Subscriber, subscribe } from './support/subscriber.ts'

let stack: AsyncDisposableStack
let network: TestNetwork
let host: FakeHost
let live: Subscriber

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startTestNetwork({ jetstream: true }))
  host = await network.startHost()
  await network.requestCrawl(host.hostname)
  live = stack.use(await subscribe(network.relay.url))
})
afterEach(() => stack.disposeAsync())

/** Reads the relay's Jetstream from its beginning until there are so many events. */
async function read(
  service: string,
  count: number,
  filter: { readonly collections?: readonly string[]; readonly dids?: readonly string[] } = {},
): Promise<readonly StreamEvent[]> {
  const events: StreamEvent[] = []
  const stop = new AbortController()
  for await (const event of subscribeJetstream({
    service,
    cursor: 1,
    filter,
    open: openWebSocket,
    onIssue: () => undefined,
    signal: AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
  })) {
    events.push(event)
    if (events.length === count) break
  }
  stop.abort()
  return events
}

function like(account: FakeAccount, rkey: string): Promise<unknown> {
  const collection = 'app.bsky.feed.like'
  return host.write(account, [
    { action: 'create', collection, rkey, record: { $type: collection } },
  ])
}

describe('the Jetstream of a relay', () => {
  it('gives what was verified, filtered, and nothing of what was not', async () => {
    const [one, two] = [await host.createAccount(), await host.createAccount()]
    await host.post(one, 'hello')
    await like(one, 'a')
    const { commits } = host
    const last = commits.at(-1)
    if (last === undefined) throw new Error('no commit')
    // A lie, and the same commit again: neither is passed on, so neither is here.
    await host.emit({ ...last, ops: [] })
    await host.emit(last)
    await like(two, 'b')
    await live.until((s) => s.repoEvents().length === 9, 'the events')
    const all = await read(network.relay.url, 7)
    expect(all.map(({ type }) => type).filter((type) => type !== 'commit')).toHaveLength(4)
    const likes = await read(network.relay.url, 6, { collections: ['app.bsky.feed.like'] })
    const paths = likes.flatMap((event) =>
      event.type === 'commit' ? event.ops.map(({ path }) => path) : [],
    )
    expect(paths.toSorted()).toEqual(['app.bsky.feed.like/a', 'app.bsky.feed.like/b'])
    const ofTwo = await read(network.relay.url, 3, { dids: [two.did] })
    expect(new Set(ofTwo.map(({ did }) => did))).toEqual(new Set([two.did]))
  })

  it('holds nothing any more of an account that was taken down, here and at a replica', async () => {
    const [one, two] = [await host.createAccount(), await host.createAccount()]
    await like(one, 'gone')
    await like(two, 'stays')
    await live.until((s) => s.repoEvents().length === 8, 'the events')
    await using replica = await startReplica({
      ...readConfig({}),
      port: 0,
      dataDirectory: `${network.directory}/replica`,
      upstream: network.relay.url,
      jetstream: true,
      logLevel: 'silent',
    })
    await network.until(
      async () => (await fetch(`${replica.url}/readyz`)).status === 200,
      'the replica',
    )
    expect(await read(replica.url, 6)).toHaveLength(6)
    await network.client.procedure(
      'com.atproto.admin.updateSubjectStatus',
      {
        subject: { $type: 'com.atproto.admin.defs#repoRef', did: one.did },
        takedown: { applied: true },
      },
      { headers: ADMIN_HEADERS },
    )
    await live.until((s) => s.repoEvents().length === 9, 'the takedown')
    for (const { url } of [network.relay, replica]) {
      const left = await read(url, 4)
      expect(left.filter(({ did }) => did === one.did)).toMatchObject([
        { type: 'account', active: false, status: 'takendown' },
      ])
      expect(left.filter(({ did }) => did === two.did)).toHaveLength(3)
    }
  })

  it('is there only where it is wanted, counts with the others, and refuses what it cannot do', async () => {
    const upgrade = async (port: number, target: string): Promise<readonly string[]> => {
      const socket = connect(port, '127.0.0.1')
      socket.write(
        `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
          'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n',
      )
      const [data] = (await once(socket, 'data')) as [Uint8Array]
      socket.destroy()
      return new TextDecoder().decode(data).toLowerCase().split('\r\n')
    }
    await using plain = await startTestNetwork()
    expect((await upgrade(plain.relay.port, '/subscribe'))[0]).toContain('404')
    const { port } = network.relay
    for (const path of ['/subscribe', '/xrpc/com.atproto.sync.subscribeRepos']) {
      const [status, ...headers] = await upgrade(port, path)
      expect(status).toContain('101')
      // Compression of each connection by itself is never agreed to.
      expect(headers.filter((line) => line.startsWith('sec-websocket-extensions'))).toEqual([])
    }
    const bad = ['cursor=x', 'compress=true', 'wantedCollections=a*b', 'maxMessageSizeBytes=x']
    for (const query of bad) {
      expect((await upgrade(port, `/subscribe?${query}`))[0]).toContain('400')
    }
    await using able = await startTestNetwork({
      jetstream: true,
      jetstreamDictionary: ZSTD_DICTIONARY,
    })
    const { port: ablePort } = able.relay
    expect((await upgrade(ablePort, '/subscribe?compress=true'))[0]).toContain('101')
    await using small = await startTestNetwork({ jetstream: true, maxSubscribers: 1 })
    await using first = await subscribe(small.relay.url)
    expect((await upgrade(small.relay.port, '/subscribe'))[0]).toContain('503')
    expect(first.errors).toEqual([])
  })
})
