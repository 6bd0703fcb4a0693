import { describe, expect, it } from 'vitest'
import { DisconnectedError } from '../src/errors.ts'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import type { LogEntry, TransactionalEventLog } from '../src/event-log/port.ts'
import { encodeMessageFrame } from '@skywright/xrpc/frame'
import { peekFrame } from '../src/peek.ts'
import { HostRate } from '../src/relay/host-rate.ts'
import {
  createMemoryRelayStore,
  createRelay,
  type EventNotice,
  type Relay,
  type RelayNotice,
  type RelayOptions,
  type RelayStore,
} from '../src/relay/index.ts'
import { commitLies } from '../src/testing/lies.ts'
import { createFakeClock, type FakeClock } from '../src/testing/fake-clock.ts'
import { SimulatedNetwork, type SimulatedHost } from '../src/testing/simulated-network.ts'

const START_MS = Date.UTC(2027, 0, 1)
const HOUR_MS = 3_600_000

interface Bench extends AsyncDisposable {
  readonly network: SimulatedNetwork
  readonly clock: FakeClock
  readonly log: TransactionalEventLog
  readonly store: RelayStore
  readonly notices: RelayNotice[]
  readonly relay: Relay
  readonly events: () => EventNotice[]
  entries(): Promise<readonly LogEntry[]>
  /** Follows a host from its beginning. */
  follow(host: SimulatedHost, accountLimit?: number): Promise<void>
  /** Waits until everything sent was handled. */
  settled(): Promise<void>
  /** Another relay on what the first one stored. */
  again(options?: Partial<RelayOptions>): Relay
}

async function setUp(
  simulation: Parameters<typeof SimulatedNetwork.create>[0] = {},
  options: Partial<RelayOptions> = {},
): Promise<Bench> {
  const clock = createFakeClock(START_MS + HOUR_MS)
  let ticks = START_MS
  const network = await SimulatedNetwork.create({ now: () => ticks++, ...simulation })
  const log = createMemoryEventLog()
  const store = createMemoryRelayStore(log)
  const notices: RelayNotice[] = []
  const again = (more: Partial<RelayOptions> = {}): Relay =>
    createRelay({
      store,
      log,
      identity: network.identitySource(),
      open: network.loopback.open,
      onNotice: (notice) => notices.push(notice),
      clock,
      ...options,
      ...more,
    })
  const relay = again()
  const events = (): EventNotice[] => notices.filter((notice) => notice.kind === 'event')
  return {
    network,
    clock,
    log,
    store,
    notices,
    relay,
    events,
    entries: () => log.read(0, { maxEvents: 1_000_000, maxBytes: Infinity }),
    follow: async ({ hostname, url }, accountLimit = 1_000) => {
      // From the beginning: what the simulation sent before is part of the test.
      await store.commit({
        events: [],
        accounts: [],
        hosts: [
          {
            hostname,
            url,
            status: 'active',
            cursor: 0,
            enforcement: 'enforce',
            accountCount: 0,
            accountLimit,
            addedAtMs: clock.now(),
            lastEventAtMs: undefined,
          },
        ],
      })
      await relay.follow({ hostname, url, enforcement: 'enforce', accountLimit })
    },
    settled: async () => {
      const sent = network.hosts.reduce((total, host) => total + host.log.bounds().last, 0)
      for (let i = 0; i < 20_000 && events().length < sent; i++) await clock.advance(0)
      expect(events()).toHaveLength(sent)
    },
    again,
    [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose](),
  }
}

describe('HostRate', () => {
  it('lets a burst through, then the rate, whatever the size of the events', async () => {
    for (const [bytes, perSecond] of [
      [1_000, 50],
      [5_000_000, 0.5],
    ] as const) {
      const clock = createFakeClock(START_MS)
      const rate = new HostRate(clock, 50)
      const { signal } = new AbortController()
      let taken = 0
      let stop = false
      const host = (async () => {
        while (!stop) {
          await rate.take(50, bytes, signal)
          taken++
        }
      })()
      for (let ms = 0; ms < 60_000; ms += 100) await clock.advance(100)
      const burst = perSecond * 10
      expect(taken).toBeGreaterThanOrEqual(burst + perSecond * 58)
      expect(taken).toBeLessThanOrEqual(burst + perSecond * 62 + 4)
      stop = true
      await clock.advance(100_000)
      await host
    }
  })
})

describe('createRelay', () => {
  it('refuses an #identity or #account that is far larger than any has to be', async () => {
    await using bench = await setUp({ accounts: 1 })
    const [account] = bench.network.accounts
    const [host] = bench.network.hosts
    if (account === undefined || host === undefined) throw new Error('no account')
    await bench.follow(host)
    const time = bench.network.time()
    for (const type of ['identity', 'account'] as const) {
      await bench.network.sendBytes(account, (seq) =>
        encodeMessageFrame(`#${type}`, {
          seq,
          did: account.did,
          time,
          active: true,
          padding: new Uint8Array(100_000),
        }),
      )
    }
    await bench.settled()
    const rejected = bench.events().filter((notice) => notice.outcome === 'rejected')
    expect(rejected.map((notice) => notice.reason)).toEqual(['too-large', 'too-large'])
    expect(await bench.entries()).toHaveLength(3)
  })

  it('puts every lie in its bucket and passes every honest event, in order, once', async () => {
    await using bench = await setUp({ seed: 7, hosts: 3, accounts: 12 })
    const { network } = bench
    for (const host of network.hosts) await bench.follow(host)
    const honest = network.hosts.map((host) => host.log.bounds().last).reduce((a, b) => a + b)
    const told = new Map<string, number>()
    const reasons = new Map<string, number>()
    let sent = 0
    for (let round = 0; round < 150; round++) {
      const account = network.random.pick(network.accounts)
      const event = await network.write(account)
      const lie = commitLies[round % commitLies.length]
      const lied = lie?.tell(event, { network, account })
      if (lie !== undefined && lied !== undefined) {
        await network.send(account, lied)
        told.set(lie.name, (told.get(lie.name) ?? 0) + 1)
        reasons.set(lie.reason, (reasons.get(lie.reason) ?? 0) + 1)
      }
      await network.send(account, event)
      sent++
    }
    await bench.settled()

    expect(told.size).toBeGreaterThan(commitLies.length * 0.8)
    const rejected = new Map<string, number>()
    for (const notice of bench.events()) {
      expect(['accepted', 'rejected']).toContain(notice.outcome)
      if (notice.outcome !== 'rejected') continue
      rejected.set(notice.reason, (rejected.get(notice.reason) ?? 0) + 1)
    }
    expect(Object.fromEntries(rejected)).toEqual(Object.fromEntries(reasons))
    const entries = await bench.entries()
    expect(entries).toHaveLength(honest + sent)
    const revs = new Map<string, string>()
    for (const { frame, seq } of entries) {
      const peek = peekFrame(frame)
      expect(peek.seq).toBe(seq)
      if (peek.rev === undefined || peek.did === undefined) continue
      expect(peek.rev > (revs.get(peek.did) ?? '')).toBe(true)
      revs.set(peek.did, peek.rev)
    }
    expect(revs.size).toBe(12)
  })

  it('recognises after a crash what it had handled, whatever the cursor says', async () => {
    await using bench = await setUp({ accounts: 5 }, { cursorIntervalMs: 1e9 })
    const { network, store } = bench
    const [host] = network.hosts
    if (host === undefined) throw new Error('no host')
    await bench.follow(host)
    for (let i = 0; i < 40; i++) await network.step()
    await bench.settled()
    const before = await bench.entries()
    expect(store.getHost(host.hostname)?.cursor).toBe(0)

    // Nobody stopped the first relay in order: the second starts from what is stored.
    network.loopback.cut(host.url)
    const second: RelayNotice[] = []
    await using again = bench.again({ onNotice: (notice) => second.push(notice) })
    again.start()
    for (let i = 0; i < 5_000 && second.length <= before.length; i++) await bench.clock.advance(0)
    const duplicates = second.filter(
      (notice) => notice.kind === 'event' && notice.outcome === 'rejected',
    )
    expect(duplicates).toHaveLength(before.length)
    for (const notice of duplicates) expect(notice).toMatchObject({ reason: 'duplicate' })
    expect(await bench.entries()).toEqual(before)
  })

  it('never gives a host up, and loses nothing while it is away', async () => {
    await using bench = await setUp(
      { accounts: 1 },
      { backoff: { random: () => 1 }, cursorIntervalMs: HOUR_MS },
    )
    const { network, clock, store } = bench
    const [host] = network.hosts
    if (host === undefined) throw new Error('no host')
    await bench.follow(host)
    await bench.settled()
    expect(store.getHost(host.hostname)).toMatchObject({ status: 'active', cursor: 0 })
    await clock.advance(HOUR_MS)
    expect(store.getHost(host.hostname)).toMatchObject({ cursor: 3 })

    network.loopback.setReachable(host.url, false)
    network.loopback.cut(host.url)
    await clock.advance(60_000)
    expect(store.getHost(host.hostname)?.status).toBe('offline')
    const attempts = network.loopback.opened.length
    for (let day = 0; day < 30; day++) await clock.advance(24 * HOUR_MS)
    // Once an hour, for a month.
    expect(network.loopback.opened.length - attempts).toBeGreaterThan(700)
    expect(network.loopback.opened.length - attempts).toBeLessThan(800)

    await network.step()
    network.loopback.setReachable(host.url, true)
    await clock.advance(HOUR_MS)
    await bench.settled()
    expect(store.getHost(host.hostname)?.status).toBe('active')
    expect(await bench.entries()).toHaveLength(4)
  })

  it('starts over with a host that began to count anew and takes any cursor, when the host asks', async () => {
    const network = await SimulatedNetwork.create({ hosts: 2, accounts: 0, now: () => START_MS })
    const [before, after] = network.hosts
    if (before === undefined || after === undefined) throw new Error('no hosts')
    let current = before
    await using bench = await setUp(
      { accounts: 0 },
      {
        identity: network.identitySource(),
        // Whatever cursor it is asked for, it goes on where it is: it knows no error for that.
        open: async function* (_url, { signal, onOpen }) {
          onOpen?.()
          const { log } = current
          for (let position = 0; ;) {
            await log.changed(position, signal)
            for (const { seq, frame } of await log.read(position)) {
              yield frame
              position = seq
            }
            if (log !== current.log) throw new DisconnectedError('restarted')
          }
        },
      },
    )
    const host = { hostname: before.hostname, url: before.url }
    const follow = () => bench.relay.follow({ ...host, enforcement: 'enforce', accountLimit: 10 })
    await follow()
    for (let i = 0; i < 3; i++) await network.addAccount(before)
    await bench.clock.advance(10)
    expect(await bench.entries()).toHaveLength(9)

    const moved = await network.addAccount(after)
    moved.host = before
    current = after
    await network.addAccount(before)
    await bench.clock.advance(60_000)
    const heard = await bench.entries()
    expect(heard.filter((entry) => entry.did === moved.did)).toEqual([])
    const following = follow()
    await bench.clock.advance(1_000)
    expect(await following).toBe(true)
    await bench.clock.advance(1_000)
    const now = (await bench.entries()).filter((entry) => entry.did === moved.did)
    expect(now).toHaveLength(3)
  })

  it.each(['nothing', 'the event it sent before'])(
    'comes back ever more rarely to a host that sends %s and hangs up',
    async (what) => {
      let connections = 0
      const network = await SimulatedNetwork.create({ accounts: 1, now: () => START_MS })
      const [host] = network.hosts
      const repeated = ((await host?.log.read(0)) ?? []).slice(-1)
      await using bench = await setUp(
        { accounts: 1 },
        {
          cursorIntervalMs: HOUR_MS,
          open: async function* (_url, { onOpen }) {
            connections++
            await Promise.resolve()
            onOpen?.()
            if (what !== 'nothing') for (const { frame } of repeated) yield frame
            throw new DisconnectedError('hung up')
          },
        },
      )
      const [there] = bench.network.hosts
      if (there === undefined) throw new Error('no host')
      await bench.follow(there)
      await bench.clock.advance(60_000)
      expect(connections).toBeGreaterThan(3)
      const before = connections
      for (let hour = 0; hour < 48; hour++) await bench.clock.advance(HOUR_MS)
      expect(connections - before).toBeGreaterThan(40)
      expect(connections - before).toBeLessThan(250)
      expect(bench.store.getHost(there.hostname)?.status).toBe('offline')
    },
  )

  it('hurries when a host asks, and says whether it could be reached', async () => {
    await using bench = await setUp({ accounts: 1 })
    const { network, relay } = bench
    const [host] = network.hosts
    if (host === undefined) throw new Error('no host')
    network.loopback.setReachable(host.url, false)
    const options = { ...host, enforcement: 'enforce', accountLimit: 10 } as const
    expect(await relay.follow(options)).toBe(false)
    expect(await relay.follow(options)).toBe(false)
    network.loopback.setReachable(host.url, true)
    expect(await relay.follow(options)).toBe(true)
    expect(await relay.follow(options)).toBe(true)
    expect(network.loopback.opened).toHaveLength(3)
  })

  it('calls a silent host idle and an awake one active', async () => {
    await using bench = await setUp({ accounts: 1 }, { idleAfterMs: HOUR_MS })
    const { network, clock, store } = bench
    const [host] = network.hosts
    if (host === undefined) throw new Error('no host')
    await bench.follow(host)
    await bench.settled()
    await clock.advance(HOUR_MS + 1)
    expect(store.getHost(host.hostname)?.status).toBe('idle')
    await network.step()
    await bench.settled()
    await clock.advance(0)
    expect(store.getHost(host.hostname)?.status).toBe('active')
  })

  it('takes so many new accounts of a host a day, also where as many are deleted', async () => {
    await using bench = await setUp({ accounts: 0 })
    const { network, clock, store } = bench
    const [host] = network.hosts
    if (host === undefined) throw new Error('no host')
    await bench.follow(host, 3)
    const churn = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        const account = await network.addAccount(host)
        account.active = false
        await network.send(account, network.accountEvent(account, 'deleted'))
        for (let second = 0; second < 20; second++) await clock.advance(100)
      }
      await bench.settled()
    }
    const known = (): number => store.listAccounts({ limit: 1_000 }).items.length
    await churn(20)
    expect(known()).toBe(6)
    expect(store.getHost(host.hostname)).toMatchObject({ status: 'throttled', accountCount: 0 })
    const refused = bench.events().filter((notice) => notice.outcome === 'rejected')
    expect(new Set(refused.map((notice) => 'reason' in notice && notice.reason))).toEqual(
      new Set(['account-limit']),
    )
    await clock.advance(24 * HOUR_MS)
    await churn(5)
    expect(known()).toBe(11)
    expect(store.getHost(host.hostname)?.status).toBe('active')
  })

  it('passes so many breaks of the chain of one account an hour, and every other account', async () => {
    await using bench = await setUp({ accounts: 2 })
    const { network, clock } = bench
    const [host] = network.hosts
    const [broken, sound] = network.accounts
    if (host === undefined || broken === undefined || sound === undefined) throw new Error('none')
    await bench.follow(host)
    await bench.settled()
    const breakChain = async (times: number): Promise<readonly string[]> => {
      const before = bench.events().length
      for (let i = 0; i < times; i++) {
        await network.write(broken) // never sent
        await network.send(broken, await network.write(broken))
        await network.step(sound)
      }
      await bench.settled()
      return bench
        .events()
        .slice(before)
        .filter(({ did }) => did === broken.did)
        .map((notice) =>
          'reason' in notice ? `${notice.outcome} ${notice.reason}` : notice.outcome,
        )
    }
    const outcomes = await breakChain(15)
    const passed = 'discontinuous since-mismatch'
    const dropped = 'rejected throttled'
    expect(outcomes).toEqual([
      ...Array.from({ length: 10 }, () => passed),
      ...Array.from({ length: 5 }, () => dropped),
    ])
    // The chain goes on from what was passed last: it takes one more break to catch up.
    await clock.advance(HOUR_MS / 10 + 1)
    expect(await breakChain(1)).toEqual([passed])
    const chain = bench.store.getAccount(broken.did)?.chain
    expect(chain?.rev).toBe((await broken.repo.head()).rev)
    await network.send(broken, await network.write(broken))
    await bench.settled()
    expect(bench.events().at(-1)).toMatchObject({ did: broken.did, outcome: 'accepted' })
    const ofSound = bench.events().filter(({ did }) => did === sound.did)
    expect(new Set(ofSound.map(({ outcome }) => outcome))).toEqual(new Set(['accepted']))
    expect(bench.store.getAccount(broken.did)?.discontinuities).toBe(11)
  })

  it('waits a little for the DID document of an account it never heard of, and no longer', async () => {
    const network = await SimulatedNetwork.create({ hosts: 1, accounts: 0, now: () => START_MS })
    const [host] = network.hosts
    if (host === undefined) throw new Error('no host')
    const identities = network.identitySource()
    const asked = new Map<string, number>()
    let missing = new Set<string>()
    await using bench = await setUp(
      { accounts: 0 },
      {
        open: network.loopback.open,
        identity: {
          ...identities,
          // A directory that lags behind the PDS: it knows an account only some seconds after its first event.
          resolve: async (did, options) => {
            asked.set(did, (asked.get(did) ?? 0) + 1)
            if (missing.has(did)) throw new Error('not registered')
            return await identities.resolve(did, options)
          },
        },
      },
    )
    const late = await network.addAccount(host)
    const never = await network.addAccount(host)
    missing = new Set([late.did, never.did])
    await bench.follow(host)
    for (let i = 0; i < 3; i++) await network.step(late)
    for (let i = 0; i < 50; i++) await bench.clock.advance(10)
    expect(await bench.entries()).toEqual([])
    missing.delete(late.did)
    for (let i = 0; i < 50; i++) await bench.clock.advance(1_000)
    expect((await bench.entries()).map(({ did }) => did)).toEqual(
      Array.from({ length: 6 }, () => late.did),
    )
    const rejected = bench.events().filter(({ outcome }) => outcome === 'rejected')
    expect(rejected.map((notice) => [notice.did, 'reason' in notice && notice.reason])).toEqual(
      Array.from({ length: 3 }, () => [never.did, 'unresolvable-identity']),
    )
    // The first of its events waited for all of them.
    expect(asked.get(never.did)).toBeLessThan(12)
  })

  it.each([
    ['many events', 200, 0, 100],
    ['large events', 45, 1_900_000, 100_000],
  ])(
    'lets no host hold up the others with %s of accounts that nobody answers for',
    async (_what, accounts, bytes, accountLimit) => {
      const network = await SimulatedNetwork.create({
        hosts: 2,
        accounts: 0,
        now: () => START_MS,
      })
      const [slow, good] = network.hosts
      if (slow === undefined || good === undefined) throw new Error('no hosts')
      const identities = network.identitySource()
      let asked = 0
      await using bench = await setUp(
        { accounts: 0 },
        {
          open: network.loopback.open,
          identity: {
            ...identities,
            resolve: async (did, options) => {
              if (!did.includes('web')) return await identities.resolve(did, options)
              asked++
              return await new Promise((_resolve, reject) => {
                options.signal?.addEventListener('abort', () => reject(new Error('aborted')))
              })
            },
          },
        },
      )
      const honest = await network.addAccount(good)
      const event = await network.write(honest)
      for (let i = 0; i < accounts; i++) {
        const did = `did:web:tarpit${String(i)}.example.com`
        const blocks = bytes === 0 ? event.blocks : new Uint8Array(bytes)
        await network.send({ did, host: slow }, { ...event, did, blocks })
      }
      await bench.follow(slow, accountLimit)
      for (let i = 0; i < 300; i++) await bench.clock.advance(0)
      expect(asked).toBeGreaterThan(1)
      await bench.follow(good)
      await network.send(honest, event)
      for (let i = 0; i < 20; i++) await network.step(honest)
      for (let i = 0; i < 300; i++) await bench.clock.advance(0)
      expect(await bench.entries()).toHaveLength(good.log.bounds().last)
    },
  )

  it('slows a host down to its rate and drops nothing', async () => {
    await using bench = await setUp({ accounts: 1 })
    const { network, clock } = bench
    const [host] = network.hosts
    if (host === undefined) throw new Error('no host')
    const account = network.accounts[0]
    if (account === undefined) throw new Error('no account')
    for (let i = 0; i < 900; i++) await network.send(account, network.identityEvent(account))
    await bench.follow(host, 1)
    for (let i = 0; i < 300; i++) await clock.advance(0)
    // Ten seconds' worth at once (50 per second), then at the rate.
    expect(bench.events().length).toBeGreaterThan(450)
    expect(bench.events().length).toBeLessThan(600)
    for (let second = 0; second < 10; second++) await clock.advance(1_000)
    await bench.settled()
  })

  it('stops taking events when its store fails, and takes them again at the next start', async () => {
    await using bench = await setUp({ accounts: 3 })
    const { network, store } = bench
    const [host] = network.hosts
    if (host === undefined) throw new Error('no host')
    await bench.follow(host)
    await bench.settled()
    const failures: RelayNotice[] = []
    const full: RelayStore = {
      ...store,
      commit: (change) =>
        change.events.length > 0 ? Promise.reject(new Error('disk full')) : store.commit(change),
    }
    await bench.relay[Symbol.asyncDispose]()
    const broken = bench.again({
      store: full,
      onNotice: (notice) => {
        if (notice.kind === 'failure') failures.push(notice)
      },
    })
    broken.start()
    await bench.clock.advance(0)
    for (let i = 0; i < 10; i++) await network.step()
    for (let i = 0; i < 50; i++) await bench.clock.advance(0)
    expect(failures.length).toBeGreaterThan(0)
    expect(failures[0]).toMatchObject({ hostname: undefined, error: { message: 'disk full' } })
    await broken[Symbol.asyncDispose]()

    await using healthy = bench.again()
    healthy.start()
    await bench.settled()
    expect(await bench.entries()).toHaveLength(host.log.bounds().last)
  })

  it('follows an account through a change of its key', async () => {
    await using bench = await setUp({ accounts: 2 })
    const { network } = bench
    const [host] = network.hosts
    const [account] = network.accounts
    if (host === undefined || account === undefined) throw new Error('no account')
    await bench.follow(host)
    await network.step(account)
    await bench.settled()
    await network.rotateKey(account)
    await network.step(account)
    await bench.settled()
    expect(bench.events().every((notice) => notice.outcome === 'accepted')).toBe(true)
  })
})

describe('an event that breaks the code that handles it', () => {
  it('is rejected as internal, and nobody else notices', async () => {
    await using bench = await setUp({ accounts: 3 }, {})
    const { network } = bench
    const [host] = network.hosts
    const [poisoned] = network.accounts
    if (host === undefined || poisoned === undefined) throw new Error('no account')
    const source = network.identitySource()
    const notices: RelayNotice[] = []
    await using relay = bench.again({
      onNotice: (notice) => notices.push(notice),
      identity: {
        ...source,
        peek: (did) => {
          if (did === poisoned.did) throw new TypeError('a bug')
          return source.peek(did)
        },
      },
    })
    await bench.store.commit({
      events: [],
      accounts: [],
      hosts: [
        {
          hostname: host.hostname,
          url: host.url,
          status: 'active',
          cursor: 0,
          enforcement: 'enforce',
          accountCount: 0,
          accountLimit: 10,
          addedAtMs: 0,
          lastEventAtMs: undefined,
        },
      ],
    })
    relay.start()
    const outcomes = (): EventNotice[] => notices.filter((notice) => notice.kind === 'event')
    for (let i = 0; i < 500 && outcomes().length < 9; i++) await bench.clock.advance(0)
    expect(outcomes()).toHaveLength(9)
    for (const notice of outcomes()) {
      expect(notice).toMatchObject(
        notice.did === poisoned.did
          ? { outcome: 'rejected', reason: 'internal', error: { message: 'a bug' } }
          : { outcome: 'accepted' },
      )
    }
    expect(await bench.entries()).toHaveLength(6)
  })
})
