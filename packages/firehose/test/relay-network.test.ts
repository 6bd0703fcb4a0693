import { decodeCar } from '@skywright/repo'
import { describe, expect, it } from 'vitest'
import { decodeEvent, encodeEvent } from '../src/codec.ts'
import { createMemoryEventLog } from '../src/event-log/memory.ts'
import { createMemoryRelayStore, createRelay, type RelayNotice } from '../src/relay/index.ts'
import { runRepos } from '../src/run.ts'
import {
  commitLies,
  createLoopback,
  SimulatedNetwork,
  type SimulatedAccount,
} from '../src/testing/index.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

async function setup(options: { seed: number; hosts: number; accounts: number }) {
  const network = await SimulatedNetwork.create(options)
  const log = createMemoryEventLog()
  const store = createMemoryRelayStore(log)
  const notices: RelayNotice[] = []
  const clock = {
    now: network.now,
    // Nothing here waits for time: a pause is a turn of the event loop.
    sleep: (_: number, signal?: AbortSignal) =>
      signal?.aborted === true
        ? Promise.reject(new Error('aborted'))
        : turn().then(() => undefined),
  }
  const relay = createRelay({
    store,
    log,
    identity: network.identitySource(),
    open: network.loopback.open,
    onNotice: (notice) => notices.push(notice),
    clock,
  })
  const follow = async (enforcement: 'observe' | 'enforce' = 'enforce') => {
    for (const { hostname, url } of network.hosts) {
      void relay.follow({ hostname, url, enforcement, accountLimit: 1_000 })
    }
    for (let i = 0; i < 10; i++) await turn()
  }
  const events = () => notices.filter((notice) => notice.kind === 'event')
  /** Waits until the relay judged everything the hosts sent since it follows them. */
  const settle = async (count: number) => {
    while (events().length < count) await turn()
    for (let i = 0; i < 5; i++) await turn()
  }
  return { network, log, store, relay, follow, notices, events, settle }
}

/** What a consumer of the relay believes to be in every repository. */
async function fold(log: ReturnType<typeof createMemoryEventLog>, network: SimulatedNetwork) {
  const repos = new Map<string, Map<string, string>>()
  const stop = new AbortController()
  const { last } = log.bounds()
  const open = createLoopback({ 'wss://relay.test': log }).open
  let discontinuous = 0
  const counts = await runRepos({
    service: 'wss://relay.test',
    cursor: 0,
    open,
    signal: stop.signal,
    verify: createEventVerifier({
      identity: network.identitySource(),
      chain: createMemoryChainStore(),
      policy: 'relay',
      now: network.now,
    }),
    concurrency: 1,
    lagMs: Infinity,
    onIssue: (issue) => {
      if (issue.kind === 'discontinuous') discontinuous++
    },
    handle: (event) => {
      if (event.type === 'commit') {
        const repo = repos.get(event.did) ?? new Map<string, string>()
        repos.set(event.did, repo)
        for (const { path, cid } of event.ops) {
          if (cid === null) repo.delete(path)
          else repo.set(path, cid.toString())
        }
      }
      if (event.seq === last) stop.abort()
    },
  })
  return { repos, counts, discontinuous }
}

async function contents({ repo }: SimulatedAccount): Promise<Map<string, string>> {
  const chunks: Uint8Array[] = []
  for await (const chunk of repo.export()) chunks.push(chunk)
  const { verifyRepoSync } = await import('@skywright/repo')
  const car = new Uint8Array(Buffer.concat(chunks))
  expect(decodeCar(car).roots).toHaveLength(1)
  return new Map([...verifyRepoSync(car).records()].map(({ path, cid }) => [path, cid.toString()]))
}

describe('createRelay over a simulated network', () => {
  it('passes an honest network on, in order and byte for byte except for seq', async () => {
    const { network, log, relay, follow, events, settle } = await setup({
      seed: 11,
      hosts: 3,
      accounts: 0,
    })
    await follow()
    for (let i = 0; i < 12; i++) await network.addAccount()
    for (let i = 0; i < 600; i++) await network.step()
    const sent = network.hosts.reduce((sum, host) => sum + host.log.bounds().last, 0)
    await settle(sent)
    expect(events().every((notice) => notice.outcome === 'accepted')).toBe(true)
    expect(log.bounds().last).toBe(sent)
    const bytes = new Set<string>()
    for (const host of network.hosts) {
      for (const { frame } of await host.log.read(0, { maxEvents: 1e5, maxBytes: 1e9 })) {
        const event = decodeEvent(frame)
        bytes.add(Buffer.from(encodeEvent(event, 1)).toString('latin1'))
      }
    }
    for (const { frame } of await log.read(0, { maxEvents: 1e5, maxBytes: 1e9 })) {
      expect(bytes.has(Buffer.from(encodeEvent(decodeEvent(frame), 1)).toString('latin1'))).toBe(
        true,
      )
    }
    const { repos, counts } = await fold(log, network)
    expect(counts).toMatchObject({ received: sent, rejected: 0, discontinuous: 0 })
    for (const account of network.accounts) {
      expect(repos.get(account.did) ?? new Map()).toEqual(await contents(account))
    }
    await relay[Symbol.asyncDispose]()
  })

  it('puts every lie where it belongs and passes every truth', async () => {
    const { network, log, relay, follow, events, settle, store } = await setup({
      seed: 23,
      hosts: 2,
      accounts: 0,
    })
    await follow()
    for (let i = 0; i < 10; i++) await network.addAccount()
    const ledger = new Map<string, string>()
    const note = (account: SimulatedAccount, seq: number, outcome: string) =>
      ledger.set(`${account.host.hostname} ${String(seq)}`, outcome)
    const told: Record<string, number> = {}
    for (let round = 0; round < 700; round++) {
      const account = network.random.pick(network.accounts)
      const event = await network.write(account)
      const { name, tell, reason } = commitLies[round % commitLies.length]!
      const lie = tell(event, { network, account })
      if (lie !== undefined) {
        const seq = await network.send(account, lie)
        // A commit that names another account is a lie about that account; the rest stays as declared.
        note(account, seq, `rejected ${reason}`)
        told[name] = (told[name] ?? 0) + 1
      }
      note(account, await network.send(account, event), 'accepted')
      if (round % 50 === 0) {
        const garbage = await network.sendBytes(account, (seq) => {
          const frame = encodeEvent(event, seq)
          return frame.subarray(0, frame.length - 3)
        })
        note(account, garbage, 'rejected invalid-frame')
      }
    }
    const sent = network.hosts.reduce((sum, host) => sum + host.log.bounds().last, 0)
    for (let i = 0; i < 2_000 && events().length < sent; i++) await turn()
    const judged = new Map<string, string>()
    for (const notice of events()) {
      const key = `${notice.hostname} ${String(notice.seq)}`
      expect(judged.has(key)).toBe(false)
      judged.set(key, 'reason' in notice ? `${notice.outcome} ${notice.reason}` : notice.outcome)
    }
    for (const [key, outcome] of ledger) {
      if (outcome === 'rejected invalid-frame') continue
      expect([key, judged.get(key)]).toEqual([key, outcome])
    }
    // Every kind of lie was told, and nothing false is in the sequence.
    for (const { name } of commitLies) {
      if (!['operation left out', 'delete that names another former record'].includes(name)) {
        expect([name, told[name] ?? 0]).toEqual([name, expect.any(Number)])
        expect(told[name]).toBeGreaterThan(5)
      }
    }
    const { repos, counts, discontinuous } = await fold(log, network)
    expect(counts.rejected).toBe(0)
    expect(discontinuous).toBe(0)
    for (const account of network.accounts) {
      expect(repos.get(account.did) ?? new Map()).toEqual(await contents(account))
      expect(store.getAccount(account.did)?.chain?.rev).toBe((await account.repo.head()).rev)
    }
    await settle(0)
    await relay[Symbol.asyncDispose]()
  })
})
