import { encodeMessageFrame } from '@skywright/xrpc/frame'
import { describe, expect, it } from 'vitest'
import { runRepos, type RunReposOptions } from '../src/run.ts'
import type { FirehoseIssue } from '../src/stream-event.ts'
import type { StreamObservation } from '../src/tally.ts'
import { commitLies, createFakeClock, SimulatedNetwork } from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'

/** A network of which a third of the commits are lies, with strangers and junk between them. */
async function lyingNetwork() {
  const network = await SimulatedNetwork.create({ accounts: 4, seed: 31 })
  for (let i = 0; i < 240; i++) {
    const account = network.random.pick(network.accounts)
    const event = await network.write(account)
    const lie = commitLies[i % commitLies.length]!
    const lied = i % 3 === 0 ? lie.tell(event, { network, account }) : undefined
    await network.send(account, lied ?? event)
    if (i % 40 === 0) {
      await network.sendBytes(account, (seq) =>
        encodeMessageFrame(`#new${String(i)}`, { seq, did: account.did }),
      )
      await network.sendBytes(account, (seq) => encodeMessageFrame('#account', { seq, did: 7 }))
    }
  }
  const [first] = network.accounts
  await network.send(first!, network.accountEvent({ ...first!, active: false }, 'deactivated'))
  return network
}

async function run(network: SimulatedNetwork, options: Partial<RunReposOptions>) {
  const [host] = network.hosts
  const { last } = host!.log.bounds()
  const stop = new AbortController()
  const seen: StreamObservation[] = []
  const issues: FirehoseIssue[] = []
  const verify = createEventVerifier({
    identity: network.identitySource(),
    chain: createMemoryChainStore(),
    policy: 'relay',
    now: network.now,
  })
  const counts = await runRepos({
    service: host!.url,
    cursor: 0,
    verify,
    open: network.loopback.open,
    onIssue: (issue) => issues.push(issue),
    observe: (observation) => seen.push(observation),
    handle: ({ seq }) => {
      if (seq === last) stop.abort()
    },
    concurrency: 1,
    signal: stop.signal,
    ...options,
  })
  return { counts, seen, issues, source: host!.url }
}

/** How many there are of each. */
function countBy<T>(items: readonly T[], name: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[name(item)] = (counts[name(item)] ?? 0) + 1
  return counts
}

describe('observe', () => {
  it('is told of every frame and of what became of it, as the counts and the issues are', async () => {
    const { counts, seen, issues } = await run(await lyingNetwork(), {})
    const received = seen.filter((one) => one.kind === 'received')
    const ended = seen.filter((one) => one.kind === 'ended')
    expect(received.length).toBe(counts.received)
    expect(ended.length).toBe(counts.received)
    const { received: _, ...outcomes } = counts
    const told = Object.fromEntries(Object.entries(outcomes).filter(([, count]) => count > 0))
    expect(countBy(ended, ({ outcome }) => outcome)).toEqual(told)
    expect(countBy(received, ({ type }) => type)).toEqual(countBy(ended, ({ type }) => type))
    const rejected = issues.filter((issue) => issue.kind === 'rejected')
    const reasons = ended.filter(({ outcome }) => outcome === 'rejected')
    expect(countBy(reasons, ({ reason }) => reason ?? '')).toEqual(
      countBy(rejected, ({ reason }) => reason),
    )
    // Strangers share one name, however many they are.
    expect(new Set(received.map(({ type }) => type))).toEqual(
      new Set(['commit', 'identity', 'account', 'unknown']),
    )
    expect(counts.unknown).toBe(6)
    expect(counts.invalid).toBe(6)
    expect(new Set(reasons.map(({ reason }) => reason)).size).toBeGreaterThan(10)
    expect(counts.delivered).toBeGreaterThan(100)
  })

  it('is told bytes and what waits when a frame comes, and its age when it ends', async () => {
    const clock = createFakeClock(Date.UTC(2027, 0, 1))
    const network = await SimulatedNetwork.create({ accounts: 1, seed: 3, now: () => clock.now() })
    const account = network.accounts[0]!
    const frames = [...(await account.host.log.read(0))]
    await clock.advance(5_000)
    const { seen, source } = await run(network, { verify: false, clock, lagMs: Infinity })
    const received = seen.filter((one) => one.kind === 'received')
    expect(received.map(({ bytes }) => bytes)).toEqual(frames.map(({ frame }) => frame.length))
    expect(received[0]).toMatchObject({ waitingEvents: 0, waitingBytes: 0, source })
    for (const one of seen) if (one.kind === 'ended') expect(one.lagMs).toBe(5_000)
    expect(seen.length).toBe(2 * frames.length)
  })
})
