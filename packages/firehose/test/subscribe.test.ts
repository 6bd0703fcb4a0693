import { encodeErrorFrame, encodeMessageFrame } from '@skywright/xrpc/frame'
import { describe, expect, it } from 'vitest'
import { encodeEvent } from '../src/codec.ts'
import { createMemoryCursorStore } from '../src/cursor-store.ts'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import { runRepos } from '../src/run.ts'
import type { OpenStream } from '../src/socket.ts'
import type { FirehoseIssue, StreamEvent } from '../src/stream-event.ts'
import { subscribeRepos } from '../src/subscribe.ts'
import {
  createFakeClock,
  createLoopback,
  identityAppend,
  SimulatedNetwork,
} from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'

const service = 'wss://relay.test'
const did = (n: number) => `did:plc:${String(n).padStart(24, 'a')}`
const time = '2027-01-15T08:00:00.000Z'

function setup() {
  const log = createMemoryEventLog()
  const network = createLoopback({ [service]: log })
  const issues: FirehoseIssue[] = []
  const clock = createFakeClock()
  const options = {
    service,
    verify: false,
    open: network.open,
    clock,
    onIssue: (issue: FirehoseIssue) => issues.push(issue),
    backoff: { random: () => 1 },
    lagMs: Infinity,
  } as const
  return { log, network, issues, clock, options }
}

const kinds = (issues: readonly FirehoseIssue[]) => issues.map((issue) => issue.kind)
const identity = (seq: number, n = 1) =>
  encodeEvent({ type: 'identity', seq, did: did(n), time }, seq)

/** Opens scripted connections, one after the other: their frames, then the end. */
function scripted(...connections: readonly (readonly Uint8Array[])[]): {
  open: OpenStream
  urls: string[]
} {
  const urls: string[] = []
  return {
    urls,
    open: async function* (url, { signal }) {
      const frames = connections[urls.length]
      urls.push(url)
      if (frames !== undefined) yield* frames
      else await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  }
}

describe('subscribeRepos', () => {
  it('delivers in order and continues behind the last event after the connection was cut', async () => {
    const { log, network, issues, clock, options } = setup()
    await log.publish([1, 2, 3].map((n) => identityAppend(did(n))))
    const seen: number[] = []
    for await (const event of subscribeRepos({ ...options, cursor: 0 })) {
      seen.push(event.seq)
      if (event.seq === 3) {
        network.cut(service)
        await log.publish([4, 5].map((n) => identityAppend(did(n))))
        void clock.advance(5_000)
      }
      if (seen.length === 5) break
    }
    expect(seen).toEqual([1, 2, 3, 4, 5])
    expect(kinds(issues)).toEqual(['reconnect'])
    expect(network.opened.map((url) => new URL(url).search)).toEqual(['?cursor=0', '?cursor=3'])
  })

  it('starts live without a cursor', async () => {
    const { log, options } = setup()
    await log.publish([identityAppend(did(1))])
    const stream = subscribeRepos(options)
    const first = stream.next()
    await new Promise((resolve) => setImmediate(resolve))
    await log.publish([identityAppend(did(2))])
    expect((await first).value).toMatchObject({
      seq: 2,
      source: service,
      verified: false,
      live: true,
    })
    await stream.return()
  })

  it('stores the cursor behind the event whose loop body finished, not before', async () => {
    const { log, clock, options } = setup()
    const cursors = createMemoryCursorStore()
    await log.publish([1, 2, 3, 4].map((n) => identityAppend(did(n))))
    const start = createMemoryCursorStore({ [service]: 0 })
    const stored: (number | undefined)[] = []
    const cursor = {
      get: (source: string) => start.get(source),
      set: async (source: string, value: number) => {
        stored.push(value)
        await cursors.set(source, value)
      },
    }
    const stream = subscribeRepos({ ...options, cursor })
    await stream.next()
    await stream.next()
    await clock.advance(2_000)
    expect(stored).toEqual([1])
    await stream.next()
    await stream.return()
    expect(await cursors.get(service)).toBe(2)
    const seen: number[] = []
    for await (const event of subscribeRepos({ ...options, cursor: cursors })) {
      seen.push(event.seq)
      if (seen.length === 2) break
    }
    expect(seen).toEqual([3, 4])
  })

  it('counts as handled only what was acknowledged, in manual mode', async () => {
    const { log, options } = setup()
    const cursor = createMemoryCursorStore({ [service]: 0 })
    await log.publish([1, 2, 3, 4].map((n) => identityAppend(did(n))))
    const stream = subscribeRepos({ ...options, cursor, acknowledge: 'manual' })
    const events: StreamEvent[] = []
    for (let i = 0; i < 4; i++) {
      const { value } = await stream.next()
      if (value !== undefined) events.push(value)
    }
    stream.acknowledge(events[1]!)
    await stream.return()
    expect(await cursor.get(service)).toBe(2)
  })

  it('ends quietly by its signal, also while waiting', async () => {
    const { options } = setup()
    const stop = new AbortController()
    const stream = subscribeRepos({ ...options, signal: stop.signal })
    const next = stream.next()
    await new Promise((resolve) => setImmediate(resolve))
    stop.abort()
    expect(await next).toEqual({ value: undefined, done: true })
  })

  it('stops at FutureCursor instead of guessing', async () => {
    const { log, options } = setup()
    await log.publish([identityAppend(did(1))])
    const stream = subscribeRepos({ ...options, cursor: 5 })
    await expect(stream.next()).rejects.toMatchObject({ code: 'FutureCursor', cursor: 5 })
    expect(await stream.next()).toEqual({ value: undefined, done: true })
  })

  it('says that the cursor was too old, and goes on', async () => {
    const { log, issues, options } = setup()
    await log.publish([1, 2, 3].map((n) => identityAppend(did(n))))
    await log.trim({ maxBytes: 1 })
    await log.publish([identityAppend(did(4))])
    const stream = subscribeRepos({ ...options, cursor: 1 })
    expect((await stream.next()).value).toMatchObject({ seq: 4 })
    expect(issues).toMatchObject([{ kind: 'outdated-cursor', cursor: 1 }])
    await stream.return()
  })

  it('reconnects when it was cut off for being slow', async () => {
    const { issues, clock, options } = setup()
    const { open, urls } = scripted(
      [identity(4), encodeErrorFrame('ConsumerTooSlow')],
      [identity(5)],
    )
    const stream = subscribeRepos({ ...options, open, cursor: 3 })
    expect((await stream.next()).value).toMatchObject({ seq: 4 })
    const next = stream.next()
    await clock.advance(60_000)
    expect((await next).value).toMatchObject({ seq: 5 })
    expect(issues[0]).toMatchObject({ kind: 'reconnect', error: { code: 'ConsumerTooSlow' } })
    expect(urls[1]).toContain('cursor=4')
    await stream.return()
  })

  it('skips frames it does not know and reports them', async () => {
    const { issues, options } = setup()
    const { open } = scripted([
      encodeMessageFrame('#handle', { seq: 1, did: did(1) }),
      encodeMessageFrame('#identity', { seq: 2, did: 7, time }).slice(),
      encodeMessageFrame('#account', { seq: 3, did: did(1), active: 'yes', time }),
      encodeMessageFrame('#info', { name: 'Hello' }),
      identity(4),
    ])
    const stream = subscribeRepos({ ...options, open, cursor: 0 })
    await expect(stream.next()).resolves.toMatchObject({ value: { seq: 4 } })
    await stream.return()
    expect(issues.filter((issue) => issue.kind !== 'reconnect')).toMatchObject([
      { kind: 'unknown-frame', type: '#handle', seq: 1 },
      { kind: 'invalid-frame', seq: 2 },
      { kind: 'invalid-frame', seq: 3 },
      { kind: 'info', name: 'Hello' },
    ])
  })

  it('drops the connection on garbage, and steps over garbage that stays', async () => {
    const { issues, clock, options } = setup()
    const garbage = [new Uint8Array([0xff, 1, 2])]
    const { open, urls } = scripted([identity(4), ...garbage], garbage, garbage, [identity(6)])
    const stream = subscribeRepos({ ...options, open, cursor: 3 })
    expect((await stream.next()).value).toMatchObject({ seq: 4 })
    const next = stream.next()
    await clock.advance(120_000)
    expect((await next).value).toMatchObject({ seq: 6 })
    const cursors = urls.map((url) => new URL(url).searchParams.get('cursor'))
    expect(cursors.slice(0, 4)).toEqual(['3', '4', '4', '5'])
    expect(kinds(issues)).toContain('gap')
    await stream.return()
  })

  it('drops repeats at the seam and connections whose numbers step back', async () => {
    const { issues, clock, options } = setup()
    const { open } = scripted([identity(3), identity(4), identity(2)], [identity(4), identity(5)])
    const stream = subscribeRepos({ ...options, open, cursor: 3 })
    expect((await stream.next()).value).toMatchObject({ seq: 4 })
    const next = stream.next()
    await clock.advance(60_000)
    expect((await next).value).toMatchObject({ seq: 5 })
    expect(issues[0]).toMatchObject({ kind: 'reconnect', error: { code: 'Disconnected' } })
    await stream.return()
  })

  it('grows its delays with jitter and gives up only when told to', async () => {
    const { issues, clock, options } = setup()
    const { open } = scripted([], [], [], [], [])
    const stream = subscribeRepos({ ...options, open, maxAttempts: 4 })
    const next = stream.next()
    const failed = expect(next).rejects.toMatchObject({ code: 'Disconnected' })
    await clock.advance(60_000)
    await failed
    expect(issues.map((issue) => (issue.kind === 'reconnect' ? issue.delayMs : 0))).toEqual([
      1_000, 2_000, 4_000,
    ])
  })

  it('reports a stall once, and reconnects a silent stream when asked to', async () => {
    const { issues, clock, options } = setup()
    const stream = subscribeRepos({ ...options, stallMs: 10_000, idleTimeoutMs: 25_000 })
    const next = stream.next()
    await clock.advance(24_000)
    expect(kinds(issues)).toEqual(['stall'])
    await clock.advance(2_000)
    expect(kinds(issues)).toEqual(['stall', 'reconnect'])
    const ended = stream.return()
    await next
    await ended
  })

  it('reports lag', async () => {
    const { log, issues, options } = setup()
    await log.publish([identityAppend(did(1))])
    const stream = subscribeRepos({ ...options, cursor: 0, lagMs: 1_000 })
    await stream.next()
    expect(kinds(issues)).toEqual(['lag'])
    await stream.return()
  })

  it('delivers only wanted accounts, and every kind of event of those', async () => {
    const { log, options } = setup()
    await log.publish([1, 2, 3, 2].map((n) => identityAppend(did(n))))
    const filter = { dids: [did(2)], collections: ['app.bsky.feed.post'] }
    const seen: number[] = []
    for await (const event of subscribeRepos({ ...options, cursor: 0, filter })) {
      seen.push(event.seq)
      if (seen.length === 2) break
    }
    expect(seen).toEqual([2, 4])
  })
})

describe('a filter over verified commits', () => {
  it('follows the chain of what it does not deliver, and does not look at other accounts at all', async () => {
    const network = await SimulatedNetwork.create({ accounts: 4, seed: 21 })
    for (let i = 0; i < 200; i++) await network.step()
    const identity = network.identitySource()
    const one = network.accounts[0]!.did
    const stop = new AbortController()
    const { last } = network.hosts[0]!.log.bounds()
    const marker = await network.send(
      network.accounts[0]!,
      network.identityEvent(network.accounts[0]!),
    )
    const collections = new Set<string>()
    const issues: FirehoseIssue[] = []
    const counts = await runRepos({
      service: 'https://pds0.test',
      cursor: 0,
      open: network.loopback.open,
      signal: stop.signal,
      verify: createEventVerifier({
        identity,
        chain: createMemoryChainStore(),
        policy: 'relay',
        now: network.now,
      }),
      filter: { dids: [one], collections: ['app.bsky.graph.*'] },
      lagMs: Infinity,
      onIssue: (issue) => issues.push(issue),
      handle: (event) => {
        expect(event.did).toBe(one)
        if (event.type === 'commit') {
          expect(event.verified).toBe(true)
          for (const op of event.ops) collections.add(op.collection)
        }
        if (event.seq === marker) stop.abort()
      },
    })
    expect([...collections]).toEqual(['app.bsky.graph.follow'])
    // Nothing was discontinuous although most commits were not delivered.
    expect(issues).toEqual([])
    expect(identity.resolutions).toBeLessThanOrEqual(2)
    expect(counts.filtered).toBeGreaterThan(150)
    expect(counts.received).toBe(last + 1)
  })

  it('costs nothing for what it drops where chains are not followed', async () => {
    const network = await SimulatedNetwork.create({ accounts: 40, seed: 22 })
    const [one, two] = network.accounts
    for (let i = 0; i < 50; i++) await network.step(one)
    const identity = network.identitySource()
    const stop = new AbortController()
    const marker = await network.send(two!, network.identityEvent(two!))
    let wanted = 0
    const issues: FirehoseIssue[] = []
    const counts = await runRepos({
      service: 'https://pds0.test',
      cursor: 0,
      open: network.loopback.open,
      signal: stop.signal,
      verify: createEventVerifier({
        identity,
        chain: createMemoryChainStore(),
        policy: 'unchained',
        now: network.now,
      }),
      filter: { collections: ['app.bsky.graph.*'] },
      lagMs: Infinity,
      onIssue: (issue) => issues.push(issue),
      handle: (event) => {
        if (event.type === 'commit') {
          expect(event).toMatchObject({ did: one!.did, verified: true })
          wanted++
        }
        if (event.seq === marker) stop.abort()
      },
    })
    expect(wanted).toBeGreaterThan(3)
    expect(issues).toEqual([])
    expect(identity.resolutions).toBe(1)
    expect(counts.filtered).toBe(50 - wanted + 40)
  })
})

describe('a verified consumer', () => {
  /** Runs a consumer over what a network has sent, until the last of it is handled. */
  async function consume(
    network: SimulatedNetwork,
    options: Partial<Parameters<typeof runRepos>[0]>,
  ) {
    const { last } = network.hosts[0]!.log.bounds()
    const stop = new AbortController()
    const events: StreamEvent[] = []
    const issues: FirehoseIssue[] = []
    await runRepos({
      service: 'https://pds0.test',
      cursor: 0,
      open: network.loopback.open,
      signal: stop.signal,
      verify: false,
      lagMs: Infinity,
      onIssue: (issue) => {
        issues.push(issue)
        if ('seq' in issue && issue.seq === last) stop.abort()
      },
      handle: (event) => {
        events.push(event)
        if (event.seq === last) stop.abort()
      },
      ...options,
    })
    return { events, issues }
  }

  it('makes the chain durable before the cursor', async () => {
    const network = await SimulatedNetwork.create({ accounts: 3, seed: 25 })
    for (let i = 0; i < 60; i++) await network.step()
    const order: string[] = []
    const chain = createMemoryChainStore()
    await consume(network, {
      cursorIntervalMs: 0,
      cursor: {
        get: () => Promise.resolve(0),
        set: () => {
          order.push('cursor')
          return Promise.resolve()
        },
      },
      verify: createEventVerifier({
        identity: network.identitySource(),
        chain: { ...chain, flush: () => void order.push('chain') },
        policy: 'relay',
        now: network.now,
      }),
    })
    expect(order.length).toBeGreaterThan(0)
    expect(order.filter((_, i) => i % 2 === 0).every((what) => what === 'chain')).toBe(true)
    expect(order.filter((_, i) => i % 2 === 1).every((what) => what === 'cursor')).toBe(true)
  })

  it('looks an account up afresh once it was told that it changed', async () => {
    const network = await SimulatedNetwork.create({ accounts: 2, seed: 26 })
    const [one, two] = network.accounts
    await network.step(one)
    await network.step(two)
    const source = network.identitySource()
    const told: string[] = []
    await network.send(one!, network.identityEvent(one!))
    await network.step(one)
    const { issues } = await consume(network, {
      concurrency: 1,
      verify: createEventVerifier({
        identity: {
          ...source,
          purge: (gone) => {
            told.push(`purge ${gone}`)
            source.purge(gone)
          },
          resolve: (wanted, options) => {
            told.push(`resolve ${wanted}`)
            return source.resolve(wanted, options)
          },
        },
        chain: createMemoryChainStore(),
        policy: 'relay',
        now: network.now,
      }),
    })
    expect(issues).toEqual([])
    expect(told.slice(-2)).toEqual([`purge ${one!.did}`, `resolve ${one!.did}`])
  })

  it('knows nothing more of a repository whose account was deleted', async () => {
    const network = await SimulatedNetwork.create({ accounts: 0, seed: 27 })
    const account = await network.addAccount()
    await network.step(account)
    await network.send(account, network.accountEvent({ ...account, active: false }, 'deleted'))
    await network.send(account, network.accountEvent(account))
    await network.step(account)
    const { events, issues } = await consume(network, {
      verify: createEventVerifier({
        identity: network.identitySource(),
        chain: createMemoryChainStore(),
        now: network.now,
      }),
    })
    expect(events.map((event) => event.type)).toEqual([
      'identity',
      'account',
      'commit',
      'commit',
      'account',
      'account',
    ])
    expect(issues).toMatchObject([{ kind: 'discontinuous', reason: 'unknown-repo' }])
  })

  it('delivers no commits of an account between its end and its return', async () => {
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 23 })
    const [account] = network.accounts
    const say = async (active: boolean) => {
      account!.active = active
      return await network.send(account!, network.accountEvent(account!))
    }
    const before = await network.step(account)
    await say(false)
    const hidden = await network.write(account!)
    await network.send(account!, hidden)
    const last = await say(true)
    const stop = new AbortController()
    const revs: string[] = []
    const issues: FirehoseIssue[] = []
    await runRepos({
      service: 'https://pds0.test',
      cursor: 3,
      open: network.loopback.open,
      signal: stop.signal,
      verify: createEventVerifier({
        identity: network.identitySource(),
        chain: createMemoryChainStore(),
        policy: 'relay',
        now: network.now,
      }),
      lagMs: Infinity,
      onIssue: (issue) => issues.push(issue),
      handle: (event) => {
        if (event.type === 'commit') revs.push(event.rev)
        if (event.seq === last) stop.abort()
      },
    })
    expect(revs).toEqual([before.type === 'commit' ? before.rev : ''])
    expect(issues).toMatchObject([{ kind: 'rejected', reason: 'inactive-account' }])
  })
})

describe('runRepos', () => {
  it('holds the cursor below an event whose handler fails, and fails after its attempts', async () => {
    const { log, issues, clock, options } = setup()
    const cursor = createMemoryCursorStore({ [service]: 0 })
    await log.publish([1, 2, 3, 4].map((n) => identityAppend(did(n))))
    const handled: number[] = []
    const run = runRepos({
      ...options,
      cursor,
      handlerAttempts: 3,
      handle: ({ seq }) => {
        if (seq === 3) throw new Error('handler is broken')
        handled.push(seq)
      },
    })
    const failed = expect(run).rejects.toThrow('handler is broken')
    await clock.advance(60_000)
    await failed
    expect(handled).toEqual([1, 2, 4])
    expect(await cursor.get(service)).toBe(2)
    expect(kinds(issues)).toEqual(['handler-failed', 'handler-failed', 'handler-failed'])
  })

  it('goes past an event that somebody else takes, in the order of its account', async () => {
    const { log, issues, options } = setup()
    for (let i = 0; i < 9; i++) await log.publish([identityAppend(did(i % 3))])
    const cursor = createMemoryCursorStore({ [service]: 0 })
    const done: number[] = []
    const dead: number[] = []
    const stop = new AbortController()
    const end = () => {
      if (done.length + dead.length === 9) stop.abort()
    }
    const clock = { now: () => options.clock.now(), sleep: () => Promise.resolve() }
    await runRepos({
      ...options,
      clock,
      cursor,
      signal: stop.signal,
      handlerAttempts: 3,
      handle: ({ did: of, seq }) => {
        if (of === did(1)) throw new Error('poison')
        done.push(seq)
        end()
      },
      deadLetter: ({ seq, did: of }, error) => {
        expect([of, String(error)]).toEqual([did(1), 'Error: poison'])
        dead.push(seq)
        end()
      },
    })
    expect(done.toSorted((a, b) => a - b)).toEqual([1, 3, 4, 6, 7, 9])
    expect(dead).toEqual([2, 5, 8])
    expect(kinds(issues).filter((kind) => kind === 'handler-failed').length).toBe(9)
    expect(await cursor.get(service)).toBe(9)
  })

  it('fails when nobody can take the event either, with the cursor below it', async () => {
    const { log, options } = setup()
    for (let i = 0; i < 3; i++) await log.publish([identityAppend(did(i))])
    const cursor = createMemoryCursorStore({ [service]: 0 })
    const clock = { now: () => options.clock.now(), sleep: () => Promise.resolve() }
    const running = runRepos({
      ...options,
      clock,
      cursor,
      concurrency: 1,
      handlerAttempts: 2,
      handle: ({ seq }) => {
        if (seq === 2) throw new Error('poison')
      },
      deadLetter: () => Promise.reject(new Error('disk full')),
    })
    await expect(running).rejects.toThrow('disk full')
    expect(await cursor.get(service)).toBe(1)
  })

  it('keeps the order of each account and works on several at once', async () => {
    const { log, options } = setup()
    const stop = new AbortController()
    const order = Array.from({ length: 60 }, (_, i) => i % 7)
    await log.publish(order.map((n) => identityAppend(did(n))))
    const seen = new Map<string, number[]>()
    let running = 0
    let most = 0
    let total = 0
    const counts = await runRepos({
      ...options,
      cursor: 0,
      signal: stop.signal,
      concurrency: 3,
      handle: async (event) => {
        running++
        most = Math.max(most, running)
        for (let i = 0; i < (event.seq * 7) % 5; i++) {
          await new Promise((resolve) => setImmediate(resolve))
        }
        seen.set(event.did, [...(seen.get(event.did) ?? []), event.seq])
        running--
        if (++total === order.length) stop.abort()
      },
    })
    expect(most).toBe(3)
    expect(counts).toMatchObject({ received: 60 })
    for (const [account, seqs] of seen) {
      expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
      expect(seqs).toHaveLength(order.filter((n) => did(n) === account).length)
    }
  })

  it('keeps the order of the stream over all accounts with a concurrency of one', async () => {
    const { log, options } = setup()
    const stop = new AbortController()
    await log.publish([1, 1, 1, 2, 2, 3, 1, 3].map((n) => identityAppend(did(n))))
    const seen: number[] = []
    await runRepos({
      ...options,
      cursor: 0,
      signal: stop.signal,
      concurrency: 1,
      handle: async (event) => {
        await new Promise((resolve) => setImmediate(resolve))
        if (seen.push(event.seq) === 8) stop.abort()
      },
    })
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('reads no more than it may hold while a handler is stalled', async () => {
    const { options } = setup()
    const stop = new AbortController()
    let read = 0
    const open: OpenStream = async function* () {
      for (let seq = 1; ; seq++) {
        read++
        yield identity(seq, seq)
        if (seq % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    }
    let release = (): void => undefined
    const stalled = new Promise<void>((resolve) => {
      release = resolve
    })
    const run = runRepos({
      ...options,
      open,
      signal: stop.signal,
      concurrency: 4,
      maxPendingEvents: 50,
      handle: () => stalled,
    })
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(read).toBe(50)
    release()
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(read).toBeGreaterThan(100)
    stop.abort()
    await run
  })
})
