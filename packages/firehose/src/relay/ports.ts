import type { RepoEvent } from '../event.ts'
import type { ChainState, VerifiedCommit } from '../verify/outcome.ts'

/** Public state of a host, as `com.atproto.sync.getHostStatus` names it. */
export type HostStatus = 'active' | 'idle' | 'offline' | 'throttled' | 'banned'

/** How strictly a host's events are treated: only counted, counted and marked, or dropped. */
export type HostEnforcement = 'observe' | 'warn' | 'enforce'

export interface HostRecord {
  readonly hostname: string
  /** `http(s)://…` base URL its events are read from. */
  readonly url: string
  readonly status: HostStatus
  /** Upstream sequence number below which everything was handled. */
  readonly cursor: number | undefined
  readonly enforcement: HostEnforcement
  /** Accounts currently living there (not deleted, not moved away). */
  readonly accountCount: number
  readonly accountLimit: number
  readonly addedAtMs: number
  readonly lastEventAtMs: number | undefined
}

export interface AccountRecord {
  readonly did: string
  readonly hostname: string
  /** Status the host announced; `active` when none. */
  readonly upstreamStatus: string
  /** `takendown` when this relay's operator says so. */
  readonly localStatus: string | undefined
  readonly chain: ChainState | undefined
  /** The number, at `hostname`, of the last event handled: after a crash, what comes again is recognised by it. */
  readonly hostSeq: number | undefined
  readonly discontinuities: number
}

/** An event on its way into the log. */
export interface RelayAppend {
  readonly did: string
  readonly encode: (seq: number) => Uint8Array
  /** The event that was received, for stores that keep more than they must; absent for the relay's own. */
  readonly event?: RepoEvent
  /** What was proven of it. */
  readonly verified?: VerifiedCommit
}

/** One atomic step of the relay: everything in it is there after a crash, or nothing of it. */
export interface RelayChange {
  readonly events: readonly RelayAppend[]
  readonly accounts: readonly AccountRecord[]
  /** `accountCount` is the store's own business: it counts the accounts it holds. */
  readonly hosts: readonly HostRecord[]
  /** Hosts that started a new sequence: the `hostSeq` of their accounts is forgotten. */
  readonly resetHosts?: readonly string[]
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly cursor: string | undefined
}

/** Durable state of a relay beside its event log. */
export interface RelayStore extends AsyncDisposable {
  getHost(hostname: string): HostRecord | undefined
  listHosts(options: { readonly limit: number; readonly cursor?: string }): Page<HostRecord>
  getAccount(did: string): AccountRecord | undefined
  listAccounts(options: { readonly limit: number; readonly cursor?: string }): Page<AccountRecord>
  /** Applies a change; resolves with the sequence numbers of its events once durable. */
  commit(change: RelayChange): Promise<readonly number[]>
}
