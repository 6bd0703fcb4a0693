import type { Clock } from '../timer.ts'
import type { IdentitySource } from '../verify/identity.ts'

/** Pauses before an account that could not be resolved is looked up again, in milliseconds. */
const PAUSES_MS = [1_000, 5_000]
/** How long an account that could not be resolved is not waited for again. */
const GIVEN_UP_MS = 60_000
/** Accounts given up that are remembered; when full, the one given up first is forgotten. */
const MAX_GIVEN_UP = 10_000

/**
 * Looks up an account that was never heard of, with patience: directories lag behind the PDS that registered an account,
 * and copies of directories behind those. Its first events would be lost otherwise.
 *
 * Meanwhile the events of its host wait, as far as they do not fit into what one host may have in the works.
 */
export class FirstLook {
  private readonly identity: IdentitySource
  private readonly clock: Clock
  private readonly givenUp = new Map<string, number>()

  constructor(identity: IdentitySource, clock: Clock) {
    this.identity = identity
    this.clock = clock
  }

  /**
   * Resolves when the account is known, or there is no more hope that it soon will be.
   *
   * @throws the signal's reason when it aborts.
   */
  async take(did: string, signal: AbortSignal): Promise<void> {
    if (this.identity.peek(did) !== undefined) return
    if ((this.givenUp.get(did) ?? 0) > this.clock.now()) return
    if (await this.find(did, false, signal)) return
    for (const pauseMs of PAUSES_MS) {
      await this.clock.sleep(pauseMs, signal)
      if (await this.find(did, true, signal)) return
    }
    this.giveUp(did)
  }

  private async find(did: string, refresh: boolean, signal: AbortSignal): Promise<boolean> {
    try {
      await this.identity.resolve(did, { refresh, signal })
      return true
    } catch {
      signal.throwIfAborted()
      return false
    }
  }

  private giveUp(did: string): void {
    this.givenUp.delete(did)
    this.givenUp.set(did, this.clock.now() + GIVEN_UP_MS)
    if (this.givenUp.size <= MAX_GIVEN_UP) return
    const [oldest] = this.givenUp.keys()
    if (oldest !== undefined) this.givenUp.delete(oldest)
  }
}
