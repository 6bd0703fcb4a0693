import { decodeEvent } from '../codec.ts'
import { InvalidFrameError, UnknownFrameError } from '../errors.ts'
import type { AccountEvent, CommitEvent, IdentityEvent, RepoEvent, SyncEvent } from '../event.ts'
import type { ReceivedFrame } from '../follow.ts'
import { patchSeq } from '../peek.ts'
import type { Clock } from '../timer.ts'
import { asError } from '../verify/reasons.ts'
import type { IdentitySource, SigningKey } from '../verify/identity.ts'
import type { ChainState, Outcome, VerifiedCommit } from '../verify/outcome.ts'
import { proveEvent } from '../verify/prove.ts'
import { createEventVerifier, type EventVerifier, type Prove } from '../verify/verifier.ts'
import { announcedStatus, isActiveUpstream } from './account-state.ts'
import { checkAuthority } from './authority.ts'
import { DiscontinuityLimit } from './discontinuity-limit.ts'
import { FirstLook } from './first-look.ts'
import type { EventNotice, RelayNotice, RelayRejectReason } from './notice.ts'
import type { AccountRecord, HostRecord, RelayStore } from './ports.ts'

/** The host an event came from, as far as admission needs it. */
export interface IngestHost {
  readonly record: HostRecord
  /**
   * Room for one more account, taken; `undefined` when the host is full, or brought enough for today. To be given back
   * when handled, with whether the account came.
   */
  reserveAccount(): ((arrived: boolean) => void) | undefined
  readonly signal: AbortSignal
}

export interface IngestOptions {
  readonly store: RelayStore
  readonly identity: IdentitySource
  readonly onNotice: (notice: RelayNotice) => void
  readonly prove?: Prove | undefined
  readonly clock: Clock
}

/** Largest `#identity` or `#account` passed on: they hold two names and a time, and the rest is there to grow. */
const MAX_NEWS_BYTES = 10_000

/**
 * What hosts under `observe` and `warn` get away with: proofs of the operations, which older hosts cannot give. The
 * signature, the host and the revision must be right under every mode.
 */
const TOLERABLE: ReadonlySet<string> = new Set<RelayRejectReason>([
  'missing-prev-data',
  'missing-proof',
  'missing-record',
  'invalid-op',
  'invalid-mst',
  'op-mismatch',
  'inversion-mismatch',
])

type Verdict =
  | {
      readonly outcome: 'rejected'
      readonly reason: RelayRejectReason
      readonly error?: Error | undefined
    }
  | {
      readonly outcome: 'tolerated'
      readonly reason: RelayRejectReason
      readonly error: Error | undefined
    }
  | (Extract<EventNotice, { outcome: 'accepted' | 'discontinuous' }> extends infer N
      ? N extends { outcome: string }
        ? Omit<N, 'kind' | 'hostname' | 'seq' | 'did' | 'rev'>
        : never
      : never)

/** From one frame of one host to one durable step, or to a reason why not. Calls for one account must not overlap. */
export class Ingest {
  private readonly options: IngestOptions
  private readonly verifier: EventVerifier
  private readonly firstLook: FirstLook
  private readonly discontinuityLimit: DiscontinuityLimit
  private storeFailed = false

  constructor(options: IngestOptions) {
    this.options = options
    this.firstLook = new FirstLook(options.identity, options.clock)
    this.discontinuityLimit = new DiscontinuityLimit(options.clock)
    this.verifier = createEventVerifier({
      identity: options.identity,
      chain: {
        get: (did) => options.store.getAccount(did)?.chain,
        // Stored with the event, in one step.
        put: () => undefined,
        delete: () => undefined,
      },
      policy: 'relay',
      now: () => options.clock.now(),
      prove: options.prove,
    })
  }

  /**
   * Whatever an event contains, it ends in a notice: one account's poison must not stop the others.
   *
   * @throws when the store fails, and the signal's reason when it aborts.
   */
  async handle({ frame, peek }: ReceivedFrame, host: IngestHost): Promise<void> {
    const { seq = 0, did = '', rev } = peek
    let verdict: Verdict
    try {
      verdict = await this.judge(frame, host)
    } catch (error) {
      if (this.storeFailed || host.signal.aborted) throw error
      const isFrame = error instanceof InvalidFrameError || error instanceof UnknownFrameError
      const reason = isFrame ? 'invalid-frame' : 'internal'
      verdict = { outcome: 'rejected', reason, error: asError(error) }
    }
    const { hostname } = host.record
    const common = { kind: 'event', hostname, seq, did, rev } as const
    this.options.onNotice(
      verdict.outcome === 'rejected'
        ? { ...common, error: undefined, ...verdict }
        : { ...common, ...verdict },
    )
  }

  private async judge(frame: Uint8Array, host: IngestHost): Promise<Verdict> {
    const event = decodeEvent(frame)
    if (event.type === 'info') return reject('invalid-frame')
    const isNews = event.type === 'identity' || event.type === 'account'
    if (isNews && frame.length > MAX_NEWS_BYTES) return reject('too-large')
    const account = this.options.store.getAccount(event.did)
    const livesHere = account?.hostname === host.record.hostname
    if (livesHere && account.hostSeq !== undefined && event.seq <= account.hostSeq) {
      return reject('duplicate')
    }
    // An account at the relay for the first time, or coming from elsewhere, needs room at its host.
    const isNew = !livesHere || account.upstreamStatus === 'deleted'
    const release = isNew ? host.reserveAccount() : noRoomNeeded
    if (release === undefined) return reject('account-limit')
    let arrived = false
    try {
      if (account === undefined) await this.firstLook.take(event.did, host.signal)
      const verdict = await this.judgeOf(event, frame, account, host)
      arrived = verdict.outcome !== 'rejected'
      return verdict
    } finally {
      release(arrived)
    }
  }

  private judgeOf(
    event: RepoEvent,
    frame: Uint8Array,
    account: AccountRecord | undefined,
    host: IngestHost,
  ): Promise<Verdict> {
    if (event.type === 'identity') return this.identity(event, frame, account, host)
    if (event.type === 'account') return this.account(event, frame, account, host)
    return this.commit(event, frame, account, host)
  }

  private async commit(
    event: CommitEvent | SyncEvent,
    frame: Uint8Array,
    account: AccountRecord | undefined,
    host: IngestHost,
  ): Promise<Verdict> {
    const { hostname, enforcement } = host.record
    if (account?.localStatus !== undefined) return reject('takendown')
    const livesHere = account?.hostname === hostname
    if (livesHere && !isActiveUpstream(account)) return reject('inactive-account')
    const outcome = await this.verifier.verify(event, {
      host: hostname,
      frame,
      signal: host.signal,
    })
    if (outcome.status === 'rejected') {
      return enforcement === 'enforce' || !TOLERABLE.has(outcome.reason)
        ? { outcome: 'rejected', reason: outcome.reason, error: outcome.error }
        : await this.tolerate(event, outcome, frame, account, host)
    }
    const { verified } = outcome
    const broken = outcome.status === 'discontinuous' ? 1 : 0
    if (broken === 1 && !this.discontinuityLimit.take(event.did)) return reject('throttled')
    const changed: AccountRecord = {
      ...this.accountAt(event, account, host),
      chain: verified.state,
      discontinuities: (account?.discontinuities ?? 0) + broken,
    }
    await this.pass(event, frame, changed, verified)
    await this.verifier.settle(verified)
    return outcome.status === 'accepted'
      ? { outcome: 'accepted', event, verified }
      : { outcome: 'discontinuous', reason: outcome.reason, event, verified }
  }

  /** Passes what is not proven, if at least the commit is the account's own. */
  private async tolerate(
    event: CommitEvent | SyncEvent,
    { reason, error }: Extract<Outcome, { status: 'rejected' }>,
    frame: Uint8Array,
    account: AccountRecord | undefined,
    host: IngestHost,
  ): Promise<Verdict> {
    const { did, rev } = event
    if (account?.chain !== undefined && rev <= account.chain.rev) return reject('stale-rev')
    const problem = await checkAuthority(did, {
      identity: this.options.identity,
      hostname: host.record.hostname,
      account: undefined,
      signal: host.signal,
    })
    const key = this.options.identity.peek(did)?.signingKey
    const chain =
      problem === undefined && key !== undefined ? proveCommitOnly(event, key) : undefined
    if (chain === undefined) return { outcome: 'rejected', reason, error }
    await this.pass(event, frame, { ...this.accountAt(event, account, host), chain })
    await this.verifier.adopt(did, chain)
    return { outcome: 'tolerated', reason, error }
  }

  private async identity(
    event: IdentityEvent,
    frame: Uint8Array,
    account: AccountRecord | undefined,
    host: IngestHost,
  ): Promise<Verdict> {
    // Whoever says so: what was known of the account may be out of date. The host's event rate bounds the look-ups.
    this.verifier.purge(event.did)
    const problem = await this.authority(event, account, host)
    if (problem !== undefined) return reject(problem)
    if (account?.localStatus !== undefined) return reject('takendown')
    await this.pass(event, frame, this.accountAt(event, account, host))
    return { outcome: 'accepted', event, verified: undefined }
  }

  private async account(
    event: AccountEvent,
    frame: Uint8Array,
    account: AccountRecord | undefined,
    host: IngestHost,
  ): Promise<Verdict> {
    const problem = await this.authority(event, account, host)
    if (problem !== undefined) return reject(problem)
    const changed = {
      ...this.accountAt(event, account, host),
      upstreamStatus: announcedStatus(event),
    }
    if (changed.localStatus !== undefined) {
      // Remembered for the day the takedown is lifted; until then the relay's own status stands.
      await this.remember(changed)
      return reject('takendown')
    }
    await this.pass(event, frame, changed)
    return { outcome: 'accepted', event, verified: undefined }
  }

  private authority(
    event: RepoEvent,
    account: AccountRecord | undefined,
    host: IngestHost,
  ): ReturnType<typeof checkAuthority> {
    const { signal, record } = host
    const { identity } = this.options
    return checkAuthority(event.did, {
      identity,
      hostname: record.hostname,
      account,
      signal,
    })
  }

  /** The account as it is once this event is handled. Moving to another host is a fresh start for its status. */
  private accountAt(
    { did, seq }: RepoEvent,
    account: AccountRecord | undefined,
    { record: { hostname } }: IngestHost,
  ): AccountRecord {
    return {
      did,
      hostname,
      upstreamStatus: account?.hostname === hostname ? account.upstreamStatus : 'active',
      localStatus: account?.localStatus,
      chain: account?.chain,
      hostSeq: seq,
      discontinuities: account?.discontinuities ?? 0,
    }
  }

  private async remember(account: AccountRecord): Promise<void> {
    try {
      await this.options.store.commit({ events: [], accounts: [account], hosts: [] })
    } catch (error) {
      this.storeFailed = true
      throw error
    }
  }

  /** The one durable step. Bytes go out as they came, with the relay's number in place of the host's. */
  private async pass(
    event: RepoEvent,
    frame: Uint8Array,
    account: AccountRecord,
    verified?: VerifiedCommit,
  ): Promise<void> {
    let encodes = true
    const encode = (seq: number): Uint8Array => {
      encodes = false
      const patched = patchSeq(frame, seq)
      encodes = true
      return patched
    }
    const { did } = event
    const append = { did, encode, event, ...(verified === undefined ? {} : { verified }) }
    try {
      await this.options.store.commit({ events: [append], accounts: [account], hosts: [] })
    } catch (error) {
      // Bytes that cannot be patched are the event's fault, anything else is the store's.
      this.storeFailed ||= encodes
      throw error
    }
  }
}

function reject(reason: RelayRejectReason): Verdict {
  return { outcome: 'rejected', reason }
}

function noRoomNeeded(): void {
  // Nothing was reserved.
}

/**
 * What remains to be proven when the operations cannot be: a `#sync` is a commit without operations.
 *
 * @returns the account's new state, or `undefined` when the commit itself does not hold.
 */
function proveCommitOnly(
  { did, rev, seq, time, blocks }: CommitEvent | SyncEvent,
  key: SigningKey,
): ChainState | undefined {
  try {
    const { commit, data } = proveEvent({ type: 'sync', seq, did, rev, time, blocks }, key)
    return { rev, data: data.toString(), commit: commit.toString() }
  } catch {
    return undefined
  }
}
