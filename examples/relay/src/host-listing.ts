import type { IdentitySource } from '@skywright/firehose'
import type { HostRecord } from '@skywright/firehose/relay'
import type { CollectionIndex } from './collection-index.ts'
import {
  askForCollections,
  askForRepos,
  HostAnswerError,
  type ListedRepo,
} from './host-questions.ts'
import type { ListingTable } from './listing-table.ts'
import type { RelayTables } from './tables.ts'

/** Hosts listed at the same time. */
const MAX_HOSTS = 4
/** Pause between two accounts of one host, in milliseconds: this is nothing a host should feel. */
const PAUSE_MS = 20
/** When a host that did not answer is asked again, in milliseconds; doubled with every failure in a row, up to a day. */
const RETRY_MS = 300_000
const DAY_MS = 86_400_000
const HOST_PAGE = 500
/** Names in one listing of accounts that live elsewhere above which it is not believed: each costs a look-up. */
const MAX_STRANGERS = 1_000
/** Pages in a row without an account of the host after which it is not believed that more follow. */
const MAX_IDLE_PAGES = 20

export interface HostListingOptions {
  readonly tables: RelayTables
  readonly listing: ListingTable
  readonly collections: CollectionIndex
  readonly identity: IdentitySource
  /** For URLs that strangers chose: guards against private addresses. */
  readonly fetch: typeof globalThis.fetch
  readonly now: () => number
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly onProblem: (problem: { readonly hostname: string; readonly error: unknown }) => void
}

/**
 * Learns from each host, once, which accounts live there and which collections each holds, so that `listRepos` and
 * `listReposByCollection` know what was there before the relay, and what never moves.
 *
 * It is the host's word, taken for accounts whose DID document names the host. It fills gaps only: what the stream shows
 * always wins, and no event is judged by it. A listing that was interrupted goes on at the page where it was.
 */
export class HostListing {
  readonly #options: HostListingOptions

  constructor(options: HostListingOptions) {
    this.#options = options
  }

  /** Lists every host that is due, or goes on with it. Resolves when each of them is done or has failed. */
  async run(signal: AbortSignal): Promise<void> {
    const due = this.#dueHosts()
    const work = async (): Promise<void> => {
      for (let host = due.pop(); host !== undefined && !signal.aborted; host = due.pop()) {
        await this.#attempt(host, signal)
      }
    }
    await Promise.all(Array.from({ length: MAX_HOSTS }, work))
  }

  #dueHosts(): HostRecord[] {
    const { tables, listing, now } = this.#options
    const due: HostRecord[] = []
    let cursor: string | undefined
    do {
      const page = tables.listHosts({
        limit: HOST_PAGE,
        ...(cursor === undefined ? {} : { cursor }),
      })
      for (const host of page.items) {
        if (host.status !== 'banned' && listing.isDue(host.hostname, now())) due.push(host)
      }
      ;({ cursor } = page)
    } while (cursor !== undefined)
    return due
  }

  async #attempt(host: HostRecord, signal: AbortSignal): Promise<void> {
    const { listing, now, onProblem } = this.#options
    const { hostname } = host
    try {
      const isComplete = await this.#list(host, signal)
      // The limit of a full host may have grown by tomorrow.
      if (isComplete) listing.finish(hostname)
      else listing.postpone(hostname, now() + DAY_MS, 0)
    } catch (error) {
      if (signal.aborted) return
      const failures = listing.failures(hostname) + 1
      const delayMs = Math.min(DAY_MS, RETRY_MS * 2 ** Math.min(failures - 1, 20))
      listing.postpone(hostname, now() + delayMs, failures)
      onProblem({ hostname, error })
    }
  }

  /** @returns `false` when the host has no room for more accounts. */
  async #list(host: HostRecord, signal: AbortSignal): Promise<boolean> {
    const { tables, listing, fetch, sleep } = this.#options
    const { hostname, url } = host
    // A page names each account once: more than the limit are the same ones again.
    let room = tables.getHost(hostname)?.accountLimit ?? 0
    let strangers = 0
    let idlePages = 0
    for (let cursor = listing.cursor(hostname); ;) {
      const page = await askForRepos({ url, cursor }, { fetch, signal })
      idlePages++
      for (const repo of page.repos) {
        const taken = await this.#take(repo, host, signal)
        if (taken === 'no-room') return false
        if (taken === 'taken') {
          idlePages = 0
          if (--room < 0) return false
        }
        if (taken === 'stranger' && ++strangers > MAX_STRANGERS)
          throw new HostAnswerError('listRepos', 'lists too many accounts of other hosts')
        await sleep(PAUSE_MS, signal)
      }
      const { cursor: next } = page
      if (next === undefined) return true
      if (idlePages >= MAX_IDLE_PAGES)
        throw new HostAnswerError('listRepos', 'goes on without naming its accounts')
      if (next === cursor) throw new HostAnswerError('listRepos', 'its cursor stands still')
      listing.moveTo(hostname, next)
      cursor = next
    }
  }

  async #take(
    repo: ListedRepo,
    host: HostRecord,
    signal: AbortSignal,
  ): Promise<'taken' | 'stranger' | 'no-room'> {
    const { tables, collections, fetch } = this.#options
    const { did } = repo
    const { hostname, url } = host
    const known = tables.getAccount(did)
    if (known === undefined) {
      if (!(await this.#livesAt(did, hostname, signal))) return 'stranger'
      const { accountCount = 0, accountLimit = 0 } = tables.getHost(hostname) ?? {}
      if (accountCount >= accountLimit) return 'no-room'
      tables.addListedAccount(repo, hostname)
    } else if (known.hostname !== hostname) return 'stranger'
    const before = tables.getAccount(did)?.chain?.rev
    const names = await askForCollections({ url, did }, { fetch, signal })
    // What was written meanwhile the stream has shown; the answer may be older than that.
    if (tables.getAccount(did)?.chain?.rev === before) collections.add(did, names)
    return 'taken'
  }

  async #livesAt(did: string, hostname: string, signal: AbortSignal): Promise<boolean> {
    const { identity } = this.#options
    try {
      const { pds } =
        identity.peek(did) ?? (await identity.resolve(did, { refresh: false, signal }))
      return pds !== undefined && URL.canParse(pds) && new URL(pds).host === hostname
    } catch {
      signal.throwIfAborted()
      return false
    }
  }
}
