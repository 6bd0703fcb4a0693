import { encodeEvent } from '../codec.ts'
import type { RepoEvent } from '../event.ts'
import { patchSeq, peekFrame } from '../peek.ts'
import { MAX_FRAME_BYTES } from '../limits.ts'
import { streamUrl } from '../follow.ts'
import type { OpenStream } from '../socket.ts'
import { historyLies } from './history-lies.ts'
import { commitLies } from './lies.ts'
import type { ServedNetwork } from './serve-network.ts'
import type { SimulatedAccount, SimulatedHost, SimulatedNetwork } from './simulated-network.ts'

export interface RelayScenarioOptions {
  /** Base URL of the relay: ours, or any that may crawl `localhost` and asks the directory of `served`. */
  readonly relay: string
  /** With hosts and no accounts yet. Its clock must be that of the relay, or behind it. */
  readonly network: SimulatedNetwork
  readonly served: ServedNetwork
  /** @defaultValue 4 for each host */
  readonly accounts?: number
  /** Commits, most of them with a lie before them. @defaultValue three for each kind of lie */
  readonly rounds?: number
  readonly open: OpenStream
  /** Ends the waiting: for relays that lose something. */
  readonly signal: AbortSignal
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
 * event once, byte for byte but for `seq`, and nothing else.
 */
export async function playRelayScenario(
  options: RelayScenarioOptions,
): Promise<RelayScenarioResult> {
  return await new Scenario(options).play()
}

class Scenario {
  private readonly options: RelayScenarioOptions
  private readonly ledger = new Map<string, Map<string, number>>()
  private readonly told = new Map<string, number>()
  /** True events that have not come out yet, by their bytes. */
  private readonly awaited = new Map<string, string>()
  private readonly forged: string[] = []
  private arrived: () => void = () => undefined

  constructor(options: RelayScenarioOptions) {
    this.options = options
  }

  async play(): Promise<RelayScenarioResult> {
    const { network, served, signal } = this.options
    for (const host of network.hosts) await this.crawl(served.hostnameOf(host))
    const stop = new AbortController()
    const { opened, listening } = this.listen(AbortSignal.any([signal, stop.signal]))
    await Promise.race([opened, listening])
    await this.lie()
    await this.settled()
    stop.abort()
    await listening
    return {
      missing: [...this.awaited.values()],
      forged: this.forged,
      ledger: this.ledger,
      told: this.told,
    }
  }

  private async lie(): Promise<void> {
    const { network, accounts = 4 * network.hosts.length } = this.options
    const { rounds = 3 * commitLies.length } = this.options
    for (let i = 0; i < accounts; i++) {
      const host = network.hosts[i % network.hosts.length]
      const account = await network.addAccount(host)
      await this.adopt(account.host, 3)
    }
    for (let round = 0; round < rounds; round++) {
      const account = network.random.pick(network.accounts)
      const event = await network.write(account)
      const { name, reason, tell } = commitLies[round % commitLies.length] ?? {}
      const lie = tell?.(event, { network, account })
      if (name !== undefined && lie !== undefined) {
        this.note(name)
        await this.send(account, account.host, lie, `rejected ${String(reason)}`)
      }
      await this.send(account, account.host, event, 'accepted')
    }
    for (const { name, tell } of historyLies) {
      const account = network.random.pick(network.accounts)
      this.note(name)
      for (const { event, host, outcome } of await tell({ network, account })) {
        const from = network.hosts.find(({ hostname }) => hostname === host)
        if (from === undefined) throw new Error(`no such host; hostname=${host}`)
        await this.send(account, from, event, outcome?.relay ?? 'accepted')
        // Nothing orders the events of two hosts.
        await this.settled()
      }
    }
    // What is told of an account is told in order: once this is out, the rest was judged.
    for (const account of network.accounts) {
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
    if (!outcome.startsWith('rejected')) this.awaited.set(bytesOf(frame), nameOf(frame))
  }

  private async settled(): Promise<void> {
    const { signal } = this.options
    while (this.awaited.size > 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.arrived = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  private async crawl(hostname: string): Promise<void> {
    const { relay, signal } = this.options
    const response = await fetch(new URL('/xrpc/com.atproto.sync.requestCrawl', relay), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ hostname }),
      signal,
    })
    if (!response.ok) throw new Error(`crawl refused; answer=${await response.text()}`)
  }

  /** Hears the relay's stream until the signal aborts. */
  private listen(signal: AbortSignal): {
    readonly opened: Promise<void>
    readonly listening: Promise<void>
  } {
    const { relay, open } = this.options
    const opened = Promise.withResolvers<void>()
    const frames = open(streamUrl(relay, 'com.atproto.sync.subscribeRepos', undefined), {
      signal,
      maxFrameBytes: MAX_FRAME_BYTES,
      highWaterBytes: MAX_FRAME_BYTES,
      onOpen: () => opened.resolve(),
    })
    const listening = (async (): Promise<void> => {
      try {
        for await (const frame of frames) this.heard(frame)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    })()
    return { opened: opened.promise, listening }
  }

  private heard(frame: Uint8Array): void {
    if (!this.awaited.delete(bytesOf(frame))) this.forged.push(nameOf(frame))
    this.arrived()
  }
}

function bytesOf(frame: Uint8Array): string {
  return Buffer.from(patchSeq(frame, 1)).toString('latin1')
}

function nameOf(frame: Uint8Array): string {
  const { type, did, rev } = peekFrame(frame)
  return [type, did, rev].join(' ')
}
