import { createTidClock, type RepoWrite } from '@skywright/repo'
import { decodeFrame } from '@skywright/xrpc/frame'
import { encodeEvent } from '../codec.ts'
import type { CommitEvent, RepoEvent } from '../event.ts'
import { resigned } from './lie.ts'
import { crawlHosts, firstFrame, RelayProbe, type RelayProbeOptions } from './relay-probe.ts'
import type { ServedNetwork } from './serve-network.ts'
import type { SimulatedAccount, SimulatedNetwork } from './simulated-network.ts'

/** What a case is told with. */
export interface RelayCaseContext {
  readonly network: SimulatedNetwork
  readonly account: SimulatedAccount
  /** Whether the relay drops commits whose operations are not proven. */
  readonly isStrict: boolean
  /** Sends an event; a relay has to pass it on, or not. */
  readonly send: (event: RepoEvent, fate: 'pass' | 'drop') => Promise<void>
  /** Sends what has to be dropped, under a number of its own and to those connected now only. */
  readonly sendAs: (seq: number, event: RepoEvent) => Promise<void>
  /** The number of the last event that was sent by the account's host. */
  readonly lastSeq: () => number
  /** What the relay says first to who comes with this cursor: a type such as `#commit`, an error, or `nothing`. */
  readonly answerTo: (cursor: number) => Promise<string>
  /** Something is wrong that is no event. */
  readonly fail: (problem: string) => void
}

/** A short story of one account, and what every relay has to make of it. */
export interface RelayCase {
  readonly name: string
  readonly tell: (context: RelayCaseContext) => Promise<void>
}

export interface RelayCasesOptions extends RelayProbeOptions {
  /** With one host at least. Its clock must be that of the relay, or behind it. */
  readonly network: SimulatedNetwork
  readonly served: ServedNetwork
  /** Whether the relay drops commits whose operations are not proven. @defaultValue true */
  readonly isStrict?: boolean
  /** @defaultValue {@link relayCases} */
  readonly cases?: readonly RelayCase[]
}

/** How a relay did in one case: well when all are empty. */
export interface RelayCaseResult {
  readonly name: string
  /** Events that should have come out and did not, as `type did rev`. */
  readonly missing: readonly string[]
  /** Events that came out and should not have, or came twice. */
  readonly forged: readonly string[]
  /** What else is wrong. */
  readonly problems: readonly string[]
}

const POST = 'app.bsky.feed.post'
const LIKE = 'app.bsky.feed.like'
const PROFILE = 'app.bsky.actor.profile'
const EVENTS: readonly string[] = ['#commit', '#sync', '#identity', '#account']

/** What indigo's relay is tested with, and what a relay of Sync 1.1 has to do beside it. */
export const relayCases: readonly RelayCase[] = [
  {
    name: 'account lifecycle',
    tell: async ({ network, account, send }) => {
      await send(network.identityEvent(account), 'pass')
      await send(network.accountEvent(account), 'pass')
      const { rev, bytes, cid } = await account.repo.resign()
      await send(network.syncEvent(account, rev, bytes, cid), 'pass')
      account.active = false
      await send(network.accountEvent(account, 'deleted'), 'pass')
    },
  },
  {
    name: 'post lifecycle',
    tell: async (context) => {
      for await (const event of posts(context)) await context.send(event, 'pass')
    },
  },
  {
    name: 'post lifecycle of a host that proves nothing',
    tell: async (context) => {
      const fate = context.isStrict ? 'drop' : 'pass'
      for await (const event of posts(context)) await context.send(withoutProof(event), fate)
    },
  },
  {
    name: 'one commit of a host that proves nothing',
    tell: async (context) => {
      const { network, account, isStrict, send } = context
      await send(network.identityEvent(account), 'pass')
      await send(network.accountEvent(account), 'pass')
      const event = await network.apply(account, [create(LIKE, 'legacy')])
      await send(withoutProof(event), isStrict ? 'drop' : 'pass')
    },
  },
  {
    name: 'deactivated and back',
    tell: async ({ network, account, send }) => {
      await send(await network.apply(account, [create(LIKE, 'before')]), 'pass')
      account.active = false
      await send(network.accountEvent(account, 'deactivated'), 'pass')
      await send(await network.apply(account, [create(POST, 'unheard')]), 'drop')
      account.active = true
      await send(network.accountEvent(account), 'pass')
      // Follows what was dropped, and passes all the same.
      await send(await network.apply(account, [create(LIKE, 'after')]), 'pass')
      await send(await network.apply(account, [remove(LIKE, 'after')]), 'pass')
      await send(await network.apply(account, [create(LIKE, 'again')]), 'pass')
      await send(await network.apply(account, [remove(POST, 'unheard')]), 'pass')
    },
  },
  {
    name: 'revs only rise',
    tell: async (context) => {
      const { network, account, send } = context
      const before = createTidClock({ now: () => network.now() - 60_000, clockId: 1 }).next()
      const first = await network.apply(account, [create(LIKE, 'one')])
      await send(first, 'pass')
      const next = await network.apply(account, [remove(LIKE, 'one')])
      await send({ ...resigned(next, context, { rev: before }), rev: before }, 'drop')
      const { rev } = first
      await send({ ...resigned(next, context, { rev }), rev }, 'drop')
      await send(next, 'pass')
    },
  },
  {
    name: 'numbers only rise',
    tell: async ({ network, account, send, sendAs, lastSeq }) => {
      await send(network.identityEvent(account), 'pass')
      const commit = await network.apply(account, [create(LIKE, 'one')])
      await sendAs(lastSeq(), network.accountEvent(account))
      await sendAs(1, commit)
      await send(commit, 'pass')
    },
  },
  {
    name: 'a key that is not the account’s',
    tell: async (context) => {
      const { network, account, send } = context
      const event = await network.apply(account, [create(LIKE, 'one')])
      const thief = { ...account, key: network.newKey() }
      await send(resigned(event, { network, account: thief }, {}), 'drop')
      await send(event, 'pass')
    },
  },
  {
    name: 'a cursor of the future is an error',
    tell: async ({ answerTo, fail }) => {
      const answer = await answerTo(Number.MAX_SAFE_INTEGER)
      if (answer !== 'FutureCursor') fail(`answered with ${answer}, not with FutureCursor`)
    },
  },
  {
    name: 'cursor 0 is the oldest event kept, without a word about it',
    tell: async ({ answerTo, fail }) => {
      const answer = await answerTo(0)
      if (!EVENTS.includes(answer)) fail(`answered with ${answer}, not with an event`)
    },
  },
]

/**
 * Tells a relay each case over real sockets, each about an account of its own, and says what came out wrong.
 *
 * @throws {Error} when the relay refuses to crawl, and whatever a socket throws that cannot be opened
 */
export async function playRelayCases({
  network,
  served,
  isStrict = true,
  cases = relayCases,
  ...options
}: RelayCasesOptions): Promise<readonly RelayCaseResult[]> {
  await crawlHosts(
    options,
    network.hosts.map((host) => served.hostnameOf(host)),
  )
  const results: RelayCaseResult[] = []
  for (const { name, tell } of cases) {
    await using probe = new RelayProbe(options)
    await probe.connect()
    const account = await network.addAccount(network.hosts[0])
    const { log } = account.host
    for (const { frame } of await log.read(log.bounds().last - 3)) probe.expect(frame)
    await probe.settled()
    const problems: string[] = []
    const context: RelayCaseContext = {
      network,
      account,
      isStrict,
      lastSeq: () => log.bounds().last,
      answerTo: async (cursor) => answerOf(await firstFrame(options, cursor)),
      fail: (problem) => problems.push(problem),
      send: async (event, fate) => {
        if (fate === 'pass') probe.expect(encodeEvent(event, 1))
        await network.send(account, event)
        await probe.settled()
      },
      sendAs: async (seq, event) => {
        await probe.settled()
        served.sendPast(account.host, encodeEvent(event, seq))
      },
    }
    await tell(context)
    // What is told of an account is told in order: once this is out, the rest was judged.
    await context.send(network.identityEvent(account), 'pass')
    results.push({ name, missing: probe.missing, forged: [...probe.forged], problems })
  }
  return results
}

function answerOf(frame: Uint8Array | undefined): string {
  if (frame === undefined) return 'nothing'
  const answer = decodeFrame(frame)
  return answer.op === -1 ? answer.error : (answer.type ?? 'a frame without a type')
}

/** Commits as somebody makes them who writes, changes their mind, and writes on. */
async function* posts({ network, account }: RelayCaseContext): AsyncGenerator<CommitEvent> {
  yield await network.apply(account, [create(LIKE, 'one')])
  yield await network.apply(account, [remove(LIKE, 'one')])
  yield await network.apply(account, [create(POST, 'one')])
  yield await network.apply(account, [remove(POST, 'one')])
  yield await network.apply(account, [create(PROFILE, 'self')])
  yield await network.apply(account, [
    { action: 'update', collection: PROFILE, rkey: 'self', record: { $type: PROFILE, n: 2 } },
  ])
  yield await network.apply(account, [
    create(POST, 'two'),
    create('app.bsky.feed.threadgate', 'two'),
    create('app.bsky.feed.postgate', 'two'),
  ])
}

/** As hosts sent commits before Sync 1.1. */
function withoutProof({ prevData: _prevData, ...event }: CommitEvent): CommitEvent {
  return { ...event, ops: event.ops.map(({ prev: _prev, ...op }) => op) }
}

function create(collection: string, rkey: string): RepoWrite {
  return { action: 'create', collection, rkey, record: { $type: collection } }
}

function remove(collection: string, rkey: string): RepoWrite {
  return { action: 'delete', collection, rkey }
}
