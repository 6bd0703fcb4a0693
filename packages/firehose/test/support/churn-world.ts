import { encodeEvent } from '../../src/codec.ts'
import { createMemoryEventLog } from '../../src/event-log/memory.ts'
import type { EventLog } from '../../src/event-log/port.ts'
import { patchSeq, peekFrame } from '../../src/peek.ts'
import type { FetchLike } from '../../src/resync/request.ts'
import {
  commitLies,
  createFakeClock,
  createLoopback,
  SimulatedNetwork,
  type FakeClock,
  type SimulatedAccount,
} from '../../src/testing/index.ts'

/** The relays the consumer follows. */
export const RELAYS: readonly [string, string] = ['wss://relay-a.test', 'wss://relay-b.test']
export const SECOND_MS = 1_000
/** What the relays keep; failing over goes back two minutes. */
const WINDOW_MS = 600_000

/** How the events of one step reach a relay. */
type Passage = 'whole' | 'lost' | 'twice' | 'swapped'

export interface ChurnOptions {
  readonly seed: number
  readonly minutes: number
  readonly eventsPerSecond: number
}

/** What happened, so that a test can refuse a quiet hour. */
export type ChurnLedger = Record<
  | 'events'
  | 'lost'
  | 'twice'
  | 'swapped'
  | 'lies'
  | 'rotations'
  | 'moves'
  | 'deactivations'
  | 'deletions'
  | 'newcomers'
  | 'outages'
  | 'cuts'
  | 'failovers'
  | 'restarts'
  | 'handlerFailures'
  | 'staleCopies'
  | 'fetched'
  | 'fetchedDeletes'
  | 'liesNamed',
  number
>

/** The network and what becomes of its events, and a ledger of that. */
export class World {
  readonly clock: FakeClock
  readonly network: SimulatedNetwork
  readonly relays: readonly EventLog[]
  readonly loopback: ReturnType<typeof createLoopback>
  readonly deleted: Set<string> = new Set()
  /** `source seq` of each lie, and the reason it must be refused for. */
  readonly lies: Map<string, string> = new Map()
  readonly ledger: ChurnLedger = {
    events: 0,
    lost: 0,
    twice: 0,
    swapped: 0,
    lies: 0,
    rotations: 0,
    moves: 0,
    deactivations: 0,
    deletions: 0,
    newcomers: 0,
    outages: 0,
    cuts: 0,
    failovers: 0,
    restarts: 0,
    handlerFailures: 0,
    staleCopies: 0,
    fetched: 0,
    fetchedDeletes: 0,
    liesNamed: 0,
  }
  private readonly options: ChurnOptions
  private readonly positions = new Map<string, number>()
  private readonly outageUntil = new Map<string, number>()
  private readonly sleepers: { readonly account: SimulatedAccount; readonly atMs: number }[] = []
  /** Copies of a mirror that lags. */
  private readonly oldCopies = new Map<string, Uint8Array>()

  static async create(options: ChurnOptions): Promise<World> {
    const clock = createFakeClock(Date.UTC(2027, 0, 1))
    const network = await SimulatedNetwork.create({
      accounts: 40,
      hosts: 4,
      seed: options.seed,
      now: () => clock.now(),
    })
    const world = new World(network, clock, options)
    for (let i = 0; i < 400; i++) await network.write(network.random.pick(network.accounts))
    // Everything up to now is found by backfill only.
    for (const { hostname, log } of network.hosts) world.positions.set(hostname, log.bounds().last)
    return world
  }

  private constructor(network: SimulatedNetwork, clock: FakeClock, options: ChurnOptions) {
    this.clock = clock
    this.network = network
    this.options = options
    const now = (): number => clock.now()
    this.relays = [
      createMemoryEventLog({ now }),
      createMemoryEventLog({ now, lastSeq: 5_000_000_000 }),
    ]
    const [a = createMemoryEventLog(), b = a] = this.relays
    this.loopback = createLoopback({ [RELAYS[0]]: a, [RELAYS[1]]: b })
  }

  /** A second of the network's life. */
  async second(second: number): Promise<void> {
    for (let i = 0; i < this.options.eventsPerSecond; i++) await this.step()
    await this.wakeUp()
    this.breakThings(second)
    await this.clock.advance(SECOND_MS)
    for (const relay of this.relays) await relay.trim({ beforeMs: this.clock.now() - WINDOW_MS })
  }

  /** Everything works again, everybody is awake, and each account says something more. */
  async calm(): Promise<void> {
    this.outageUntil.clear()
    for (const relay of RELAYS) this.loopback.setReachable(relay, true)
    await this.wakeUp(Infinity)
    for (const account of this.awake()) {
      await this.network.send(account, await this.network.write(account))
      await this.forward('whole')
    }
  }

  readonly fetch: FetchLike = async (text) => {
    const url = new URL(text)
    const did = url.searchParams.get('did') ?? ''
    const account = this.network.accounts.find((one) => one.did === did)
    if (url.host.startsWith('relay')) {
      if (url.pathname.endsWith('listRepos')) {
        const repos = this.awake().map((one) => ({ did: one.did, active: true }))
        return Response.json({ repos })
      }
      const old = this.oldCopies.get(did)
      if (old === undefined) return Response.json({ error: 'RepoNotFound' }, { status: 404 })
      this.ledger.staleCopies++
      return new Response(Buffer.from(old))
    }
    if ((this.outageUntil.get(url.host) ?? 0) > this.clock.now()) {
      const headers = this.clock.now() % 2_000 === 0 ? { 'retry-after': '30' } : {}
      return new Response('down', { status: 503, headers })
    }
    if (account === undefined || account.host.hostname !== url.host || this.deleted.has(did)) {
      return Response.json({ error: 'RepoNotFound' }, { status: 400 })
    }
    if (url.pathname.endsWith('getRepoStatus'))
      return Response.json({ did, active: account.active })
    if (!account.active) return Response.json({ error: 'RepoDeactivated' }, { status: 400 })
    return new Response(Buffer.from(await carOf(account)))
  }

  private awake(): SimulatedAccount[] {
    return this.network.accounts.filter((one) => one.active)
  }

  private async step(): Promise<void> {
    const { network, ledger } = this
    const { random } = network
    const account = random.pick(this.awake())
    const roll = random.next()
    if (roll < 0.002) {
      account.active = false
      ledger.deactivations++
      this.sleepers.push({ account, atMs: this.clock.now() + 60_000 * (1 + random.integer(5)) })
      await network.send(account, network.accountEvent(account, 'deactivated'))
    } else if (roll < 0.0025 && this.awake().length > 20) {
      account.active = false
      ledger.deletions++
      this.deleted.add(account.did)
      await network.send(account, network.accountEvent(account, 'deleted'))
    } else if (roll < 0.004) {
      await network.addAccount()
      ledger.newcomers++
    } else if (roll < 0.006) {
      await network.rotateKey(account)
      ledger.rotations++
    } else if (roll < 0.008) {
      await this.forward('whole')
      await network.send(account, network.migrate(account))
      ledger.moves++
    } else if (roll < 0.02) {
      this.oldCopies.set(account.did, await carOf(account))
    } else if (roll < 0.04) {
      await this.lie(account)
    } else if (roll < 0.06) {
      const passage = random.pick(['lost', 'twice', 'swapped'] as const)
      await network.step(account)
      if (passage === 'swapped') await network.step(account)
      ledger[passage]++
      await this.forward(passage)
    } else await network.step(account)
    await this.forward('whole')
  }

  /** A tampered commit, and the honest one behind it. */
  private async lie(account: SimulatedAccount): Promise<void> {
    const { network } = this
    const honest = await network.write(account)
    const { reason, tell } = network.random.pick(commitLies)
    const told = tell(honest, { network, account })
    // What is too large for a frame cannot be told here.
    if (told !== undefined && reason !== 'too-large') {
      for (const [index, relay] of this.relays.entries()) {
        const [seq] = await relay.publish([
          { did: account.did, encode: (one) => encodeEvent(told, one) },
        ])
        this.lies.set(`${RELAYS[index] ?? ''} ${String(seq)}`, reason)
      }
      this.ledger.lies++
    }
    await network.send(account, honest)
  }

  /** Passes on what the hosts have sent since, as the relays do it. */
  private async forward(passage: Passage): Promise<void> {
    for (const { hostname, log } of this.network.hosts) {
      const entries = await log.read(this.positions.get(hostname) ?? 0, { maxEvents: 10_000 })
      const last = entries.at(-1)
      if (last === undefined) continue
      this.positions.set(hostname, last.seq)
      this.ledger.events += entries.length
      const frames = entries.map(({ frame }) => frame)
      for (const [index, relay] of this.relays.entries()) {
        // Not every relay loses what the other does.
        const lost = passage === 'lost' && (index === 0 || this.network.random.chance(0.5))
        const passed = passage === 'swapped' ? frames.toReversed() : frames
        if (lost) continue
        await relay.publish(
          (passage === 'twice' ? [...passed, ...passed] : passed).map((frame) => ({
            did: peekFrame(frame).did ?? '',
            encode: (seq) => patchSeq(frame, seq),
          })),
        )
      }
      await log.trim({ maxBytes: 0 })
    }
  }

  /** Accounts come back, some with a `#sync` as the reference sends it. */
  private async wakeUp(byMs: number = this.clock.now()): Promise<void> {
    const { network } = this
    for (const sleeper of this.sleepers.splice(0)) {
      const { account, atMs } = sleeper
      if (atMs > byMs) {
        this.sleepers.push(sleeper)
        continue
      }
      account.active = true
      await network.send(account, network.accountEvent(account))
      if (network.random.chance(0.5)) {
        const { rev, bytes, cid } = await account.repo.resign()
        await network.send(account, network.syncEvent(account, rev, bytes, cid))
      }
      await this.forward('whole')
    }
  }

  private breakThings(second: number): void {
    const { random, hosts } = this.network
    if (second % 300 === 150) {
      this.outageUntil.set(
        random.pick(hosts).hostname,
        this.clock.now() + 60_000 * (1 + random.integer(4)),
      )
      this.ledger.outages++
    }
    if (second % 170 === 85) {
      for (const relay of RELAYS) this.loopback.cut(relay)
      this.ledger.cuts++
    }
    // Each relay is away for two minutes of every ten.
    const phase = second % 600
    for (const [index, relay] of RELAYS.entries()) {
      const away = 200 + 300 * index
      if (phase === away) {
        this.loopback.setReachable(relay, false)
        this.loopback.cut(relay)
      }
      if (phase === (away + 120) % 600) this.loopback.setReachable(relay, true)
    }
  }
}

async function carOf(account: SimulatedAccount): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of account.repo.export()) chunks.push(chunk)
  return Buffer.concat(chunks)
}
