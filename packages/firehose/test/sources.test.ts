import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { MAX_JSON_MESSAGE_BYTES } from '../src/limits.ts'
import type { EventFilter } from '../src/filter.ts'
import {
  createJetstreamMatcher,
  jetstreamEvents,
  serveJetstream,
  subscribeJetstream,
} from '../src/jetstream/index.ts'
import type { OpenStream } from '../src/socket.ts'
import type { FirehoseIssue, StreamEvent } from '../src/stream-event.ts'
import { subscribeRepos } from '../src/subscribe.ts'
import { subscribeTap } from '../src/tap/index.ts'
import { SimulatedNetwork, type SimulatedHost } from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'
import { openWebSocket } from '../src/ws.ts'
import { tapMessages, TapServer } from './support/tap-server.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** What a program makes of events, whatever their source: the records of every account that has any. */
class Fold {
  readonly records = new Map<string, string>()
  readonly status = new Map<string, string>()
  readonly verified = new Set<boolean>()
  commits = 0

  handle(event: StreamEvent): void {
    const { did } = event
    if (event.type === 'account') {
      this.status.set(did, event.active ? 'active' : (event.status ?? ''))
      if (event.status !== 'deleted') return
      for (const uri of this.records.keys()) if (uri.startsWith(`${did}/`)) this.records.delete(uri)
    }
    if (event.type !== 'commit') return
    this.commits++
    this.verified.add(event.verified)
    for (const { path, cid, record } of event.ops) {
      if (cid === null) this.records.delete(`${did}/${path}`)
      else {
        const hash = createHash('sha256')
          .update(record ?? '')
          .digest('hex')
        this.records.set(`${did}/${path}`, `${cid.toString()} ${hash}`)
      }
    }
  }
}

/** Runs the same handler over a source until it ends, or until the last event of the network where it comes last. */
async function fold(
  stream: AsyncIterable<StreamEvent>,
  lastDid: string | undefined,
): Promise<Fold> {
  const state = new Fold()
  for await (const event of stream) {
    state.handle(event)
    if (event.type === 'account' && event.did === lastDid && event.status === 'suspended') break
  }
  return state
}

async function network() {
  const simulated = await SimulatedNetwork.create({ accounts: 6, seed: 90 })
  for (let i = 0; i < 250; i++) await simulated.step()
  const [gone, , , , , last] = simulated.accounts
  await simulated.send(gone!, simulated.accountEvent({ ...gone!, active: false }, 'deleted'))
  for (let i = 0; i < 30; i++) await simulated.step(simulated.accounts[1 + (i % 4)]!)
  await simulated.send(last!, simulated.accountEvent({ ...last!, active: false }, 'suspended'))
  return { simulated, host: simulated.hosts[0]!, last: last!.did, gone: gone!.did }
}

const entriesOf = ({ log }: SimulatedHost) => log.read(0, { maxEvents: 10_000, maxBytes: 1e9 })

/** Jetstream v1 without sockets: its server decides by the query. */
function openJetstreamV1({ log }: SimulatedHost): OpenStream {
  return async function* (url, { signal }) {
    const { searchParams } = new URL(url)
    const matcher = createJetstreamMatcher({
      wantedCollections: searchParams.getAll('wantedCollections'),
      wantedDids: searchParams.getAll('wantedDids'),
    })
    for await (const text of serveJetstream(log, { cursor: 1, signal, filter: () => matcher }))
      yield bytesOf(text)
  }
}

/** Jetstream v2 without sockets. */
function openJetstreamV2(host: SimulatedHost): OpenStream {
  return async function* (url) {
    const { searchParams } = new URL(url)
    const matcher = createJetstreamMatcher({
      wantedCollections: searchParams.getAll('collections'),
      wantedDids: searchParams.getAll('dids'),
    })
    let seq = 0
    for (const entry of await entriesOf(host)) {
      for (const { did, collection, body } of jetstreamEvents(entry)) {
        seq++
        if (!matcher.wants({ did, collection, body })) continue
        const { kind, commit, ...rest } = body
        const $type = `network.bsky.jetstream.subscribeEvents#${kind}`
        const time = new Date(entry.atMs).toISOString()
        const payload = { $type, seq, time, ...rest, ...commit }
        yield bytesOf(JSON.stringify({ $type: 'message', payload }))
      }
    }
  }
}

describe('one handler', () => {
  it.each<readonly [string, EventFilter | undefined]>([
    ['everything', undefined],
    ['some collections', { collections: ['app.bsky.feed.*'] }],
  ])(
    'makes the same of %s from the firehose, from both Jetstreams and from Tap',
    async (_, filter) => {
      const { simulated, host, last, gone } = await network()
      const issues: FirehoseIssue[] = []
      const onIssue = (issue: FirehoseIssue): void => {
        if (issue.kind !== 'lag') issues.push(issue)
      }
      const verify = createEventVerifier({
        identity: simulated.identitySource(),
        chain: createMemoryChainStore(),
        policy: 'relay',
        now: simulated.now,
      })
      const messages = tapMessages(await entriesOf(host))
      await using tap = await TapServer.start(messages)
      // It sends what is of different accounts in any order.
      const stop = new AbortController()
      void tap.acknowledgements(messages.length).then(() => stop.abort())
      const { open } = simulated.loopback
      const { url } = host
      const concurrency = 1
      const firehose = await fold(
        subscribeRepos({ service: url, cursor: 0, verify, filter, open, onIssue, concurrency }),
        last,
      )
      const service = 'wss://jetstream.test'
      const [v1, v2] = [openJetstreamV1(host), openJetstreamV2(host)]
      const { signal } = stop
      const others = [
        await fold(subscribeJetstream({ service, filter, onIssue, open: v1 }), last),
        await fold(subscribeJetstream({ service, version: 2, filter, onIssue, open: v2 }), last),
        await fold(
          subscribeTap({ service: tap.url, filter, onIssue, open: openWebSocket, signal }),
          undefined,
        ),
      ]
      expect(issues).toEqual([])
      expect(firehose.commits).toBeGreaterThan(150)
      expect(firehose.records.size).toBeGreaterThan(100)
      expect([...firehose.records.keys()].some((uri) => uri.startsWith(gone))).toBe(false)
      expect(firehose.verified).toEqual(new Set([true]))
      for (const { records, status, verified, commits } of others) {
        expect(records).toEqual(firehose.records)
        expect(status).toEqual(firehose.status)
        expect(verified).toEqual(new Set([false]))
        expect(commits).toBeGreaterThanOrEqual(firehose.commits)
      }
    },
  )
})

describe('a record that JSON makes six times as large', () => {
  it.each([1, 2] as const)('passes Jetstream v%i', async (version) => {
    let maxFrameBytes = 0
    const open: OpenStream = (_, options) => {
      maxFrameBytes = options.maxFrameBytes
      throw new TypeError('seen')
    }
    const onIssue = (): void => undefined
    const stream = subscribeJetstream({ service: 'wss://jetstream.test', version, open, onIssue })
    await expect(stream.next()).rejects.toThrow('seen')
    expect(maxFrameBytes).toBe(MAX_JSON_MESSAGE_BYTES)
  })
})
