import type { CommitEvent, SyncEvent } from '../event.ts'
import type { ChainStore } from './chain-store.ts'
import { checkEvent } from './check-event.ts'
import type { ChainState, DiscontinuityReason, Outcome, VerifiedCommit } from './outcome.ts'
import { type Prove, proveAs } from './prove-as.ts'
import { proveEvent } from './prove.ts'
import { createFutureRevCheck } from './rev-clock.ts'
import type { IdentitySource } from './identity.ts'

export type { Prove } from './prove-as.ts'

/**
 * What to do with a valid commit that does not follow the state known here.
 *
 * - `consumer`: the outcome is `discontinuous`, the known state stays, and so do the outcomes after it until the
 *   repository was fetched again. A repository never seen before is discontinuous too, unless this is its first commit.
 * - `unchained`: do not ask. Each commit is proven by itself and has to be newer than the last one, but that one before
 *   it is missing goes unnoticed. In return a consumer does not look at commits its filter drops, neither proving them
 *   nor resolving their accounts.
 * - `relay`: pass it on and adopt its state. The outcome is still `discontinuous`, to be counted, but the next commit
 *   continues from it. A repository never seen before is accepted.
 */
export type ChainPolicy = 'consumer' | 'relay' | 'unchained'

export interface EventVerifierOptions {
  readonly identity: IdentitySource
  readonly chain: ChainStore
  /** @defaultValue 'consumer' */
  readonly policy?: ChainPolicy
  /** Clock in milliseconds, for revs in the future. @defaultValue Date.now */
  readonly now?: () => number
  /** How an event is proven. @defaultValue {@link proveEvent}, on this thread */
  readonly prove?: Prove | undefined
}

export interface VerifyEventOptions {
  /** Host name the event was read from: it must be the account's PDS. Absent when reading from a relay. */
  readonly host?: string
  /** The frame the event was decoded from, which spares proving threads an encoding. */
  readonly frame?: Uint8Array
  readonly signal?: AbortSignal
}

/**
 * Proves events of many accounts, keeping their chain state.
 *
 * Calls for one account must come one after the other, in stream order; calls for different accounts may overlap.
 */
export interface EventVerifier {
  readonly policy: ChainPolicy
  /**
   * The verdict on one event. Never throws for what the event contains.
   *
   * @throws the signal's reason when it aborts while an identity is being resolved.
   */
  verify(event: CommitEvent | SyncEvent, options?: VerifyEventOptions): Promise<Outcome>
  /**
   * Stores the state of a verified event. Call it when the event was completely handled: what was verified but not
   * settled is verified again after a crash, and nothing is skipped.
   */
  settle(verified: VerifiedCommit): void | Promise<void>
  /** Adopts a state proven elsewhere, by a fetch of the whole repository. */
  adopt(did: string, state: ChainState): void | Promise<void>
  /** Makes everything settled durable, where the store keeps it back for speed. */
  flush(): void | Promise<void>
  /** The state the next event of the account has to follow. */
  state(did: string): Promise<ChainState | undefined>
  /** After `#identity`: the next event resolves afresh. */
  purge(did: string): void
  /**
   * After `#account`: commits of an inactive account are rejected until it is active again.
   *
   * @returns stores that; to be called when the event was completely handled, and with it every commit before it.
   */
  setActive(did: string, active: boolean): () => void | Promise<void>
  /** Whether the account was last said to be active. */
  isActive(did: string): Promise<boolean>
  /**
   * After an account was deleted: its next commit follows nothing.
   *
   * @returns stores that; to be called when the event was completely handled.
   */
  forget(did: string): () => void | Promise<void>
}

/** Makes a verifier over an identity source and a chain store. */
export function createEventVerifier(options: EventVerifierOptions): EventVerifier {
  return new ChainVerifier(options)
}

/** What is known of a repository and not stored yet; of one that was forgotten, nothing. */
interface Staged {
  readonly state: ChainState | undefined
}

class ChainVerifier implements EventVerifier {
  readonly policy: ChainPolicy
  private readonly identity: IdentitySource
  private readonly chain: ChainStore
  private readonly proveOne: Prove
  private readonly isFutureRev: (rev: string) => boolean
  /** Verified and not yet settled: newer than what the store says. */
  private readonly staged = new Map<string, Staged>()
  /** What `#account` events said that are not completely handled yet. */
  private readonly stagedActive = new Map<string, { readonly active: boolean }>()

  constructor({
    identity,
    chain,
    policy = 'consumer',
    now = Date.now,
    prove = proveEvent,
  }: EventVerifierOptions) {
    this.proveOne = prove
    this.identity = identity
    this.chain = chain
    this.policy = policy
    this.isFutureRev = createFutureRevCheck(now)
  }

  async verify(event: CommitEvent | SyncEvent, options: VerifyEventOptions = {}): Promise<Outcome> {
    const flaw = checkEvent(event, this.isFutureRev)
    if (flaw !== undefined) return { status: 'rejected', reason: flaw }
    if (!(await this.isActive(event.did))) return { status: 'rejected', reason: 'inactive-account' }
    const known = await this.state(event.did)
    if (known !== undefined && isStale(event, known)) {
      return { status: 'rejected', reason: 'stale-rev' }
    }
    const proven = await proveAs(event, {
      identity: this.identity,
      prove: this.proveOne,
      ...options,
    })
    if ('status' in proven) return proven
    const verified: VerifiedCommit = {
      did: event.did,
      rev: event.rev,
      commit: proven.commit,
      data: proven.data,
      records: proven.records,
      state: { rev: event.rev, data: proven.data.toString(), commit: proven.commit.toString() },
    }
    const reason = this.discontinuity(event, known, verified)
    if (reason === undefined || this.policy !== 'consumer')
      this.staged.set(event.did, { state: verified.state })
    return reason === undefined
      ? { status: 'accepted', verified }
      : { status: 'discontinuous', reason, verified }
  }

  settle(verified: VerifiedCommit): void | Promise<void> {
    const stored = this.chain.put(verified.did, verified.state)
    const forget = (): void => {
      if (this.staged.get(verified.did)?.state?.rev === verified.rev)
        this.staged.delete(verified.did)
    }
    if (stored instanceof Promise) return stored.then(forget)
    forget()
  }

  adopt(did: string, state: ChainState): void | Promise<void> {
    this.staged.delete(did)
    return this.chain.put(did, state)
  }

  flush(): void | Promise<void> {
    return this.chain.flush?.()
  }

  async state(did: string): Promise<ChainState | undefined> {
    const staged = this.staged.get(did)
    return staged === undefined ? await this.chain.get(did) : staged.state
  }

  purge(did: string): void {
    this.identity.purge(did)
  }

  setActive(did: string, active: boolean): () => void | Promise<void> {
    const staged = { active }
    this.stagedActive.set(did, staged)
    return () => {
      if (this.stagedActive.get(did) === staged) this.stagedActive.delete(did)
      return this.chain.setInactive?.(did, !active)
    }
  }

  async isActive(did: string): Promise<boolean> {
    const staged = this.stagedActive.get(did)
    return staged === undefined ? !((await this.chain.isInactive?.(did)) ?? false) : staged.active
  }

  forget(did: string): () => void | Promise<void> {
    const nothing: Staged = { state: undefined }
    this.staged.set(did, nothing)
    return () => {
      if (this.staged.get(did) === nothing) this.staged.delete(did)
      return this.chain.delete(did)
    }
  }

  private discontinuity(
    event: CommitEvent | SyncEvent,
    known: ChainState | undefined,
    { data }: VerifiedCommit,
  ): DiscontinuityReason | undefined {
    if (this.policy === 'unchained') return undefined
    if (known === undefined) {
      const isFirst = event.type === 'commit' && event.since === null
      return this.policy === 'relay' || isFirst ? undefined : 'unknown-repo'
    }
    if (event.type === 'sync') {
      if (data.toString() === known.data) return undefined
      // A host may reset a repository, for which a relay has nothing to fetch; but one rev names one tree.
      return this.policy === 'relay' && event.rev > known.rev ? undefined : 'sync'
    }
    if (event.since !== known.rev) return 'since-mismatch'
    if (event.prevData === undefined) return undefined
    return event.prevData.toString() === known.data ? undefined : 'prev-data-mismatch'
  }
}

/** Whether an event is behind what is known. A `#sync` of the known rev is not: it confirms that rev, or contradicts it. */
function isStale({ type, rev }: CommitEvent | SyncEvent, known: ChainState): boolean {
  return type === 'sync' ? rev < known.rev : rev <= known.rev
}
