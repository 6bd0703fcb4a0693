/**
 * What must work without Node and without a test runner: the same bundle runs on Node, Bun, Deno and workerd.
 */
import {
  createEventVerifier,
  createMemoryChainStore,
  createMemoryCursorStore,
  createMemoryEventLog,
  createMemorySyncStore,
  decodeEvent,
  encodeEvent,
  listRepos,
  patchSeq,
  peekFrame,
  runRepos,
  subscribeRepos,
  type FirehoseIssue,
  type StreamEvent,
} from '../../src/index.ts'
import { serveJetstream, createJetstreamMatcher } from '../../src/jetstream/index.ts'
import { subscribeTap } from '../../src/tap/index.ts'
import { commitLies } from '../../src/testing/lies.ts'
import { SimulatedNetwork } from '../../src/testing/simulated-network.ts'

/** What a run of all cases gives, as JSON. */
export interface Outcome {
  readonly passed: number
  readonly failed: readonly string[]
}

interface Case {
  readonly name: string
  /** @param service a firehose whose newest event is number `last`, over a real socket. */
  readonly run: (service: string, last: number) => Promise<void>
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

async function simulated(steps: number): Promise<SimulatedNetwork> {
  const network = await SimulatedNetwork.create({ accounts: 4, seed: 3 })
  for (let i = 0; i < steps; i++) await network.step()
  return network
}

function verifierOf(network: SimulatedNetwork): ReturnType<typeof createEventVerifier> {
  const chain = createMemoryChainStore()
  return createEventVerifier({ identity: network.identitySource(), chain, now: network.now })
}

const CASES: readonly Case[] = [
  {
    name: 'frames are read, peeked at and renumbered',
    run: async () => {
      const network = await simulated(20)
      for (const { frame, seq } of (await network.hosts[0]?.log.read(0)) ?? []) {
        const event = decodeEvent(frame)
        check(event.type !== 'info' && event.seq === seq, 'seq')
        check(peekFrame(frame).type === `#${event.type}`, 'peek')
        check(peekFrame(patchSeq(frame, 7_000_000_000)).seq === 7_000_000_000, 'patch')
        check(encodeEvent(event, seq).length === frame.length, 'encode')
      }
    },
  },
  {
    name: 'commits are proven, and lies refused for their reason',
    run: async () => {
      const network = await simulated(0)
      const verifier = verifierOf(network)
      const [account] = network.accounts
      if (account === undefined) throw new Error('no account')
      let told = 0
      for (let i = 0; i < 90; i++) {
        const event = await network.write(account)
        const lie = commitLies[i % commitLies.length]
        const false_ = lie?.tell(event, { network, account })
        const known = (await verifier.state(account.did)) !== undefined
        if (lie !== undefined && false_ !== undefined && known) {
          const outcome = await verifier.verify(false_)
          check(outcome.status === 'rejected' && outcome.reason === lie.reason, lie.name)
          told++
        }
        const outcome = await verifier.verify(event)
        if (outcome.status === 'rejected') throw new Error(outcome.reason)
        const { state } = outcome.verified
        await verifier.adopt(account.did, state)
      }
      check(told > 40, 'too few lies')
    },
  },
  {
    name: 'a stream is followed, and what was lost is fetched again',
    run: async () => {
      const network = await simulated(30)
      const [host] = network.hosts
      const [account] = network.accounts
      if (host === undefined || account === undefined) throw new Error('no host')
      await network.write(account)
      await network.step(account)
      const service = host.url
      const stop = new AbortController()
      const identity = network.identitySource()
      const fetch = async (url: string): Promise<Response> => {
        const { pathname, searchParams } = new URL(url)
        if (pathname.endsWith('listRepos')) {
          return Response.json({ repos: network.accounts.map(({ did }) => ({ did })) })
        }
        const one = network.accounts.find(({ did }) => did === searchParams.get('did'))
        const parts: BlobPart[] = []
        for await (const chunk of one?.repo.export() ?? []) parts.push(chunk as BlobPart)
        return new Response(new Blob(parts))
      }
      let fetched = 0
      await runRepos({
        service,
        cursor: createMemoryCursorStore({ [service]: 0 }),
        open: network.loopback.open,
        verify: verifierOf(network),
        resync: {
          identity,
          store: createMemorySyncStore(),
          known: () => new Map(),
          fetch,
          backfill: listRepos({ service, fetch }),
        },
        lagMs: Infinity,
        signal: stop.signal,
        onIssue: () => undefined,
        handle: (event) => {
          if (event.live || event.did !== account.did) return
          fetched++
          stop.abort()
        },
      })
      check(fetched === 1, 'nothing was fetched')
    },
  },
  {
    name: 'a log is served as a Jetstream',
    run: async () => {
      const network = await simulated(10)
      const log = network.hosts[0]?.log ?? createMemoryEventLog()
      const matcher = createJetstreamMatcher({})
      let messages = 0
      for await (const text of serveJetstream(log, { cursor: 1, filter: () => matcher })) {
        check((JSON.parse(text) as { did?: string }).did?.startsWith('did:') === true, 'did')
        if (++messages === 15) break
      }
    },
  },
  {
    name: 'a Tap is read, and told what was handled',
    run: async () => {
      const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
      const identity = { did, handle: 'a.test', is_active: false, status: 'deleted' }
      const sent: string[] = []
      const types: string[] = []
      for await (const event of subscribeTap({
        service: 'http://tap.test',
        onIssue: () => undefined,
        open: async function* (_, { onSender }) {
          onSender?.((text) => sent.push(text))
          yield new TextEncoder().encode(JSON.stringify({ id: 7, type: 'identity', identity }))
          yield new TextEncoder().encode(JSON.stringify({ id: 8, type: 'identity', identity }))
        },
      })) {
        types.push(event.type)
        if (types.length === 3) break
      }
      check(types.join() === 'identity,account,identity', types.join())
      check(sent.join() === '{"type":"ack","id":7}', sent.join())
    },
  },
  {
    name: 'the platform’s own WebSocket reads a firehose, resumed in the middle',
    run: async (service, last) => {
      const issues: FirehoseIssue[] = []
      const read = async (cursor: number): Promise<StreamEvent[]> => {
        const events: StreamEvent[] = []
        const options = { service, cursor, verify: false, lagMs: Infinity } as const
        for await (const event of subscribeRepos({
          ...options,
          onIssue: (issue) => issues.push(issue),
        })) {
          events.push(event)
          if (event.seq === last) break
        }
        return events
      }
      const all = await read(0)
      check(all.length > 50, 'too few events')
      const rest = await read(all[19]?.seq ?? 0)
      check(rest.length === all.length - 20, 'resumed elsewhere')
      check(issues.length === 0, JSON.stringify(issues[0]))
    },
  },
]

/** How many there are. */
export const caseCount: number = CASES.length

/** Runs all cases. */
export async function runPortableCases(service: string, last: number): Promise<Outcome> {
  const failed: string[] = []
  for (const { name, run } of CASES) {
    try {
      await run(service, last)
    } catch (error) {
      failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return { passed: CASES.length - failed.length, failed }
}
