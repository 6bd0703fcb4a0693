import { describe, expect, it } from 'vitest'
import { createMemoryCursorStore } from '../src/cursor-store.ts'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import { encodeEvent } from '../src/codec.ts'
import { findCursor } from '../src/find-cursor.ts'
import { patchSeq } from '../src/peek.ts'
import { runRepos } from '../src/run.ts'
import type { FirehoseIssue } from '../src/stream-event.ts'
import { createLoopback, SimulatedNetwork } from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))
/** Nothing here waits for time: a pause is a turn of the event loop. */
const sleep = (_: number, signal?: AbortSignal) =>
  signal?.aborted === true ? Promise.reject(new Error('aborted')) : turn().then(() => undefined)
const A = 'wss://a.test'
const B = 'wss://b.test'

/** Two relays of one network, with numbers of their own. */
async function relays(steps: number) {
  let nowMs = Date.UTC(2027, 0, 1)
  const network = await SimulatedNetwork.create({ accounts: 6, seed: 12, now: () => nowMs })
  const logs = new Map([
    [A, createMemoryEventLog()],
    [B, createMemoryEventLog({ lastSeq: 7_000_000 })],
  ])
  const [host] = network.hosts
  let copied = 0
  /** Brings both relays to where the host is. */
  const relay = async () => {
    for (const { seq, did, frame } of await host!.log.read(copied, { maxEvents: 10_000 })) {
      copied = seq
      for (const log of logs.values()) {
        await log.publish([{ did, encode: (own) => patchSeq(frame, own) }])
      }
    }
  }
  const step = async () => {
    nowMs += 1_000
    await network.step()
    await relay()
  }
  for (let i = 0; i < steps; i++) await step()
  const loopback = createLoopback(Object.fromEntries(logs))
  return { network, logs, loopback, step, now: () => nowMs }
}

describe('findCursor', () => {
  it('finds a place before the moment, in whatever numbers the stream has', async () => {
    const { logs, loopback, step, now } = await relays(40)
    for (const service of [A, B]) {
      const newest = step
      const finding = findCursor({
        service,
        timeMs: now() - 20_000,
        open: loopback.open,
        signal: new AbortController().signal,
      })
      await turn()
      await newest()
      const found = await finding
      const [next] = await logs.get(service)!.read(found?.cursor ?? 0, { maxEvents: 1 })
      expect(next?.seq).toBe(logs.get(service)!.bounds().first + (service === B ? 7_000_000 : 0))
    }
  })

  it('says when the stream does not reach back so far', async () => {
    const { logs, loopback, step, now } = await relays(40)
    await logs.get(A)!.trim({ maxBytes: 1 })
    await step()
    const finding = findCursor({
      service: A,
      timeMs: now() - 30_000,
      open: loopback.open,
      signal: new AbortController().signal,
    })
    await turn()
    await step()
    expect(await finding).toMatchObject({ gap: true })
  })
})

describe('runRepos over several services', () => {
  it('goes on with the next relay without losing or repeating a commit', async () => {
    const { network, loopback, step, now } = await relays(30)
    const issues: FirehoseIssue[] = []
    const seen = new Map<string, number>()
    const sources = new Set<string>()
    const stop = new AbortController()
    const running = runRepos({
      service: [A, B],
      cursor: createMemoryCursorStore({ [A]: 0 }),
      open: loopback.open,
      signal: stop.signal,
      failoverAttempts: 2,
      clock: { now, sleep },
      verify: createEventVerifier({
        identity: network.identitySource(),
        chain: createMemoryChainStore(),
        policy: 'relay',
        now,
      }),
      lagMs: Infinity,
      onIssue: (issue) => issues.push(issue),
      handle: (event) => {
        sources.add(event.source)
        if (event.type !== 'commit') return
        const key = `${event.did} ${event.rev}`
        seen.set(key, (seen.get(key) ?? 0) + 1)
        expect(event.discontinuity).toBeUndefined()
      },
    })
    while (seen.size < 30) await turn()
    for (let i = 0; i < 10; i++) await step()
    loopback.setReachable(A, false)
    loopback.cut(A)
    // What happens before the other relay is asked is found there.
    for (let i = 0; i < 60; i++) await step()
    // The other relay answers the question for its newest event with the next one that comes.
    const head = async () =>
      await Promise.all(
        network.accounts.map(async ({ did, repo }) => `${did} ${(await repo.head()).rev}`),
      )
    for (let i = 0; i < 40; i++) {
      await step()
      await turn()
      await turn()
    }
    const wanted = await head()
    while (!wanted.every((key) => seen.has(key))) {
      await turn()
    }
    stop.abort()
    const counts = await running
    expect([...sources]).toEqual([A, B])
    expect([...seen.values()].every((times) => times === 1)).toBe(true)
    expect(seen.size).toBeGreaterThanOrEqual(80)
    expect(counts.rejected).toBeGreaterThan(20)
    const rejected = issues.filter((issue) => issue.kind === 'rejected')
    expect(rejected.every((issue) => issue.reason === 'stale-rev')).toBe(true)
  })

  it('says so when the next relay does not reach back to the place', async () => {
    const { logs, loopback, step, now } = await relays(30)
    const issues: FirehoseIssue[] = []
    const sources = new Set<string>()
    const stop = new AbortController()
    const running = runRepos({
      service: [A, B],
      cursor: createMemoryCursorStore({ [A]: 0 }),
      open: loopback.open,
      signal: stop.signal,
      failoverAttempts: 2,
      clock: { now, sleep },
      verify: false,
      lagMs: Infinity,
      onIssue: (issue) => issues.push(issue),
      handle: ({ source }) => {
        sources.add(source)
      },
    })
    while (!sources.has(A)) await turn()
    for (let i = 0; i < 200; i++) await step()
    await logs.get(B)!.trim({ maxBytes: 20_000 })
    loopback.setReachable(A, false)
    loopback.cut(A)
    while (!sources.has(B)) {
      await step()
      await turn()
    }
    stop.abort()
    await running
    expect(issues).toContainEqual(expect.objectContaining({ kind: 'gap', source: B }))
  })

  it('goes back from the time most events claim, whatever one of them claims', async () => {
    const startMs = Date.UTC(2027, 0, 1)
    const event = (seq: number, timeMs: number) =>
      encodeEvent(
        {
          type: 'identity',
          seq,
          did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
          time: new Date(timeMs).toISOString(),
        },
        seq,
      )
    const minute = 60_000
    const asked: (string | null)[] = []
    const stop = new AbortController()
    await runRepos({
      service: [A, B],
      cursor: createMemoryCursorStore({ [A]: 0 }),
      signal: stop.signal,
      verify: false,
      failoverAttempts: 1,
      clock: { now: () => startMs, sleep },
      lagMs: Infinity,
      onIssue: () => undefined,
      open: async function* (url) {
        const { host, searchParams } = new URL(url)
        if (host === 'a.test') {
          for (let seq = 1; seq < 9; seq++) yield event(seq, startMs + seq)
          yield event(9, Date.UTC(9999, 0, 1))
          return
        }
        const cursor = searchParams.get('cursor')
        asked.push(cursor)
        // The newest is half an hour ahead; one step back twenty minutes; two steps back an hour behind.
        if (cursor === null) yield event(100_000, startMs + 30 * minute)
        else if (cursor === '95904') yield event(95_905, startMs + 20 * minute)
        else yield event(Number(cursor) + 1, startMs - 60 * minute)
      },
      handle: ({ source }) => {
        if (source === B) stop.abort()
      },
    })
    expect(asked).toEqual([null, '95904', '83616', '83616'])
  })

  it('gives up only when told to', async () => {
    const loopback = createLoopback({})
    await expect(
      runRepos({
        service: [A, B],
        open: loopback.open,
        verify: false,
        failoverAttempts: 2,
        maxAttempts: 6,
        clock: { now: () => 0, sleep },
        onIssue: () => undefined,
        handle: () => undefined,
      }),
    ).rejects.toMatchObject({ code: 'Disconnected' })
    const hosts = loopback.opened.map((url) => new URL(url).host)
    expect(hosts.join(' ')).toBe('a.test a.test b.test b.test a.test a.test')
  })
})
