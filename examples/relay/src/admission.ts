import type { RelayStore } from '@skywright/firehose/relay'
import { InvalidRequestError, RateLimitedError } from '@skywright/xrpc'
import { type HostAddress, isUnderDomain, parseHostname } from './hostname.ts'
import { checkHostIsAlive } from './host-check.ts'
import { RateLimit } from './rate-limit.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Calls of requestCrawl per caller and hour: a host calls at its start and when it has news after a long silence. */
const REQUESTS_PER_CALLER_PER_HOUR = 60

/** Hosts looked at at the same time: nobody may use the relay to knock on many doors. */
const MAX_CHECKS = 20

/** Starts following; gives whether the connection is open. */
export type Follow = (host: HostAddress) => Promise<boolean>

export interface AdmissionOptions {
  readonly store: RelayStore
  /** Starts following a host, or hurries up with one that is waiting for its next attempt. */
  readonly follow: Follow
  /** New hosts admitted since a moment. */
  readonly countHostsAddedSince: (ms: number) => number
  /** For URLs that strangers chose: guards against private addresses. */
  readonly fetch: typeof globalThis.fetch
  readonly now: () => number
  readonly development: boolean
  readonly newHostsPerDay: number
  readonly bannedDomains: readonly string[]
}

/** Who may be crawled: the rules between a requestCrawl and a new host. */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #callers: RateLimit
  readonly #running = new Map<string, Promise<void>>()

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#callers = new RateLimit({
      limit: REQUESTS_PER_CALLER_PER_HOUR,
      windowMs: HOUR_MS,
      now: options.now,
    })
  }

  /**
   * Admits a host that somebody asked for.
   *
   * @throws {InvalidRequestError} for a bad hostname, a host that does not answer as a PDS, and (as `HostBanned`) a
   * banned one; {@link RateLimitedError} when the caller, or the relay for today, has asked enough
   */
  async request(
    text: string,
    { caller, unlimited = false }: { readonly caller: string; readonly unlimited?: boolean },
  ): Promise<void> {
    const { store, development, bannedDomains } = this.#options
    const retryAfterSeconds = unlimited ? undefined : this.#callers.take(caller)
    if (retryAfterSeconds !== undefined) {
      throw new RateLimitedError('too many crawl requests', { retryAfterSeconds })
    }
    const address = parseHostname(text, { development })
    if (typeof address === 'string') throw new InvalidRequestError(address)
    const known = store.getHost(address.hostname)
    if (known?.status === 'banned' || isUnderDomain(address.hostname, bannedDomains)) {
      throw new InvalidRequestError(`${address.hostname} is banned from this relay`, {
        error: 'HostBanned',
      })
    }
    // Callers that ask for the same host at the same time share one check.
    let running = this.#running.get(address.hostname)
    if (running === undefined) {
      if (known === undefined && this.#running.size >= MAX_CHECKS) {
        throw new RateLimitedError('this relay looks at too many hosts just now', {
          retryAfterSeconds: 10,
        })
      }
      running = this.#admit(address, known !== undefined || unlimited).finally(() =>
        this.#running.delete(address.hostname),
      )
      this.#running.set(address.hostname, running)
    }
    await running
  }

  async #admit(address: HostAddress, isUnlimited: boolean): Promise<void> {
    const { follow, fetch, now, newHostsPerDay, countHostsAddedSince } = this.#options
    if (!isUnlimited && countHostsAddedSince(now() - DAY_MS) >= newHostsPerDay) {
      throw new RateLimitedError('this relay takes no more new hosts today', {
        retryAfterSeconds: HOUR_MS / 1000,
      })
    }
    const problem = await checkHostIsAlive(address, fetch)
    if (problem !== undefined) throw new InvalidRequestError(`${address.hostname} ${problem}`)
    await follow(address)
  }
}
