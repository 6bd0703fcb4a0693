import { encodeEvent } from '../codec.ts'
import type { RepoEvent } from '../event.ts'
import { historyLies } from './history-lies.ts'
import { commitLies } from './lies.ts'
import { crawlHosts, RelayProbe, type RelayProbeOptions } from './relay-probe.ts'
import type { ServedNetwork } from './serve-network.ts'
import type { SimulatedAccount, SimulatedHost, SimulatedNetwork } from './simulated-network.ts'

export interface RelayScenarioOptions extends RelayProbeOptions {
  /** With hosts. Its clock must be that of the relay, or behind it. */
  readonly network: SimulatedNetwork
  readonly served: ServedNetwork
  /** @defaultValue 4 for each host */
  readonly accounts?: number
  /** Commits, most of them with a lie before them. @defaultValue three for each kind of lie */
  readonly rounds?: number
}

/** What a relay made of the scenario. */
export interface RelayScenarioResult {
  /** True events that did not come out, as `type did rev`. */
  readonly missing: readonly string[]
  /** Events that came out and are not among the true ones, or came twice. */
  readonly forged: readonly string[]
  /** By host name: how often each outcome, such as `rejected bad-signature`, must be in a report of the host. */
  readonly ledger: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** Lies told, by name. */
  readonly told: ReadonlyMap<string, number>
}

/**
 * Has a relay crawl a network of liars over real sockets, and compares what comes out with what is true: every true
 * event once, and nothing else.
 */
export async function playRelayScenario(
  options: RelayScenarioOptions,
): Promise<RelayScenarioResult> {
  return await new Scenario(options).play()
}

class Scenario {
  private readonly options: RelayScenarioOptions
  private readonly probe: RelayProbe
  private readonly ledger = new Map<string, Map<string, number>>()
  private readonly told = new Map<string, number>()
  /** Those of this story: the network may have others, with one of their own. */
  private readonly accounts: SimulatedAccount[] = []

  constructor(options: RelayScenarioOptions) {
    this.options = options
    this.probe = new RelayProbe(options)
  }

  async play(): Promise<RelayScenarioResult> {
    const { network, served } = this.options
    await using probe = this.probe
    await crawlHosts(
      this.options,
      network.hosts.map((host) => served.hostnameOf(host)),
    )
    await probe.connect()
    await this.lie()
    await probe.settled()
    const { missing, forged } = probe
    return { missing, forged, ledger: this.ledger, told: this.told }
  }

  private async lie(): Promise<void> {
    const { network, accounts = 4 * network.hosts.length } = this.options
    const { rounds = 3 * commitLies.length } = this.options
    for (let i = 0; i < accounts; i++) {
      const host = network.hosts[i % network.hosts.length]
      const account = await network.addAccount(host)
      this.accounts.push(account)
      await this.adopt(account.host, 3)
    }
    for (let round = 0; round < rounds; round++) {
      const account = network.random.pick(this.accounts)
      const event = await network.write(account)
      const { name, reason, tell } = commitLies[round % commitLies.length] ?? {}
      const lie = tell?.(event, { network, account })
      if (name !== undefined && lie !== undefined) {
        this.note(name)
        this.probe.refuse(encodeEvent(lie, 1), name)
        await this.send(account, account.host, lie, `rejected ${String(reason)}`)
      }
      await this.send(account, account.host, event, 'accepted')
    }
    for (const { name, tell } of historyLies) {
      const account = network.random.pick(this.accounts)
      this.note(name)
      for (const { event, host, outcome } of await tell({ network, account })) {
        const from = network.hosts.find(({ hostname }) => hostname === host)
        if (from === undefined) throw new Error(`no such host; hostname=${host}`)
        await this.send(account, from, event, outcome?.relay ?? 'accepted')
        // Nothing orders the events of two hosts.
        await this.probe.settled()
      }
    }
    // What is told of an account is told in order: once this is out, the rest was judged.
    for (const account of this.accounts) {
      await this.send(account, account.host, network.identityEvent(account), 'accepted')
    }
  }

  private note(name: string): void {
    this.told.set(name, (this.told.get(name) ?? 0) + 1)
  }

  private async send(
    { did }: SimulatedAccount,
    host: SimulatedHost,
    event: RepoEvent,
    outcome: string,
  ): Promise<void> {
    this.expect(host, encodeEvent(event, 1), outcome)
    await this.options.network.send({ did, host }, event)
  }

  /** Takes note of the newest events of a host, which sent them by itself. */
  private async adopt(host: SimulatedHost, count: number): Promise<void> {
    const { last } = host.log.bounds()
    for (const { frame } of await host.log.read(last - count)) this.expect(host, frame, 'accepted')
  }

  private expect(host: SimulatedHost, frame: Uint8Array, outcome: string): void {
    const hostname = this.options.served.hostnameOf(host)
    const counts = this.ledger.get(hostname) ?? new Map<string, number>()
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    this.ledger.set(hostname, counts)
    if (!outcome.startsWith('rejected')) this.probe.expect(frame)
  }
}
