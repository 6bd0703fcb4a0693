import { createMemoryCursorStore } from '../../src/cursor-store.ts'
import { listRepos } from '../../src/resync/list-repos.ts'
import { createMemorySyncStore } from '../../src/resync/sync-store.ts'
import { runRepos } from '../../src/run.ts'
import type { FirehoseIssue, StreamEvent } from '../../src/stream-event.ts'
import { createRandom } from '../../src/testing/index.ts'
import { createMemoryChainStore } from '../../src/verify/chain-store.ts'
import { createEventVerifier } from '../../src/verify/verifier.ts'
import { contents } from './contents.ts'
import { RELAYS, type World } from './churn-world.ts'

/** Keeps what it is told. Its stores outlive a restart, as files would. */
export class MirrorConsumer {
  readonly unexpected: string[] = []
  private readonly world: World
  private readonly repos = new Map<string, Map<string, string>>()
  private readonly cursor = createMemoryCursorStore({ [RELAYS[0]]: 0 })
  private readonly chain = createMemoryChainStore()
  private readonly store = createMemorySyncStore()
  private readonly busy = new Set<string>()
  /** Its own, so that its pace changes nothing of what the network does. */
  private readonly random = createRandom(1)
  private stopping = new AbortController()
  private running: Promise<unknown> = Promise.resolve()
  private lastSource: string | undefined

  constructor(world: World) {
    this.world = world
  }

  start(): void {
    const { world } = this
    const { clock, network, fetch } = world
    const identity = network.identitySource()
    const { signal } = this.stopping
    this.running = runRepos({
      service: RELAYS,
      cursor: this.cursor,
      open: world.loopback.open,
      verify: createEventVerifier({ identity, chain: this.chain, now: () => clock.now() }),
      resync: {
        identity,
        store: this.store,
        known: (did) => this.repos.get(did) ?? new Map(),
        fetch,
        backfill: listRepos({ service: 'https://relay-a.test', fetch }),
      },
      clock,
      signal,
      lagMs: Infinity,
      onIssue: (issue) => {
        this.hear(issue)
      },
      handle: (event) => this.handle(event),
    })
    this.running.catch((error: unknown) => {
      this.unexpected.push(`the run failed: ${String(error)}`)
    })
  }

  async stop(): Promise<void> {
    this.stopping.abort()
    await this.world.clock.advance(1)
    await this.running
  }

  async restart(): Promise<void> {
    await this.stop()
    this.world.ledger.restarts++
    this.stopping = new AbortController()
    this.start()
  }

  /** Accounts whose copy is not what their repository holds. */
  async differences(): Promise<string[]> {
    const found: string[] = []
    for (const account of this.world.network.accounts) {
      const ours = this.repos.get(account.did) ?? new Map<string, string>()
      const isGone = this.world.deleted.has(account.did)
      const theirs = isGone ? new Map<string, string>() : await contents(account)
      const wrong = [...theirs].filter(([path, cid]) => ours.get(path) !== cid).length
      const extra = [...ours.keys()].filter((path) => !theirs.has(path)).length
      if (wrong + extra === 0) continue
      found.push(
        `${account.did}: ${String(wrong)} wrong, ${String(extra)} extra, gone ${String(isGone)}`,
      )
    }
    return found
  }

  private async handle(event: StreamEvent): Promise<void> {
    const { ledger } = this.world
    if (this.busy.has(event.did)) this.unexpected.push(`two events of ${event.did} at once`)
    this.busy.add(event.did)
    try {
      if (this.random.chance(0.002)) {
        ledger.handlerFailures++
        throw new Error('the handler failed')
      }
      await Promise.resolve()
      if (event.live && event.source !== this.lastSource) {
        if (this.lastSource !== undefined) ledger.failovers++
        this.lastSource = event.source
      }
      if (event.type === 'account' && event.status === 'deleted') this.repos.delete(event.did)
      if (event.type !== 'commit') return
      if (!event.live) ledger.fetched++
      const repo = this.repos.get(event.did) ?? new Map<string, string>()
      this.repos.set(event.did, repo)
      for (const { path, cid } of event.ops) {
        if (cid === null) repo.delete(path)
        else repo.set(path, cid.toString())
        if (cid === null && !event.live) ledger.fetchedDeletes++
      }
    } finally {
      this.busy.delete(event.did)
    }
  }

  /** Only what was invented may be refused; what is old or of a sleeping account may be, too. */
  private hear(issue: FirehoseIssue): void {
    if (issue.kind === 'invalid-frame') this.unexpected.push(issue.error.message)
    if (issue.kind !== 'rejected') return
    const { source, seq, reason, did } = issue
    const told = this.world.lies.get(`${source} ${String(seq)}`)
    if (reason === told) this.world.ledger.liesNamed++
    const isOld = reason === 'stale-rev' || reason === 'inactive-account'
    if (reason !== told && !isOld)
      this.unexpected.push(
        `${reason} for ${did} at ${source} ${String(seq)}, not ${told ?? 'a lie'}`,
      )
  }
}
