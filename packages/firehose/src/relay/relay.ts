import type { BackoffOptions } from '../backoff.ts'
import type { EventLog } from '../event-log/port.ts'
import type { OpenStream } from '../socket.ts'
import type { Clock } from '../timer.ts'
import type { IdentitySource } from '../verify/identity.ts'
import type { Prove } from '../verify/verifier.ts'
import type { RelayNotice } from './notice.ts'
import type { HostEnforcement, HostRecord, RelayStore } from './ports.ts'

/** What a takedown needs of a log. */
export interface ErasableLog extends Pick<EventLog, 'eraseDid'> {
  /** Where erasing takes long: makes an account's events unreadable for ever, quickly. */
  hideDid?(did: string): Promise<void>
  /** Removes what was hidden. */
  removeHidden?(): Promise<void>
}

export interface RelayOptions {
  /** Durable state. Its events go to the log that subscribers are served from. */
  readonly store: RelayStore
  /** The log behind the store: a takedown erases from it. */
  readonly log: ErasableLog
  readonly identity: IdentitySource
  /** How sockets are opened; must refuse private addresses where hosts are chosen by strangers. */
  readonly open: OpenStream
  /** Told of every event and every change. Called synchronously: must be quick and must not throw. */
  readonly onNotice: (notice: RelayNotice) => void
  /** How commits are proven: by worker threads, say. @defaultValue on this thread */
  readonly prove?: Prove
  /** Delays between connections to one host. @defaultValue from a second to an hour */
  readonly backoff?: BackoffOptions
  /** Failed attempts in a row after which a host is called `offline`. It is tried for ever. @defaultValue 5 */
  readonly offlineAfterAttempts?: number
  /** Silence after which a connected host is called `idle`. @defaultValue 24 hours */
  readonly idleAfterMs?: number
  /** Accounts worked on at the same time. @defaultValue 1024 */
  readonly concurrency?: number
  /** How often cursors of hosts are stored when no event carries them, in milliseconds. @defaultValue 1000 */
  readonly cursorIntervalMs?: number
  /** @defaultValue the real clock */
  readonly clock?: Clock
}

/** A host to be followed. */
export interface FollowHostOptions {
  readonly hostname: string
  readonly url: string
  /** For a host not known yet. */
  readonly enforcement: HostEnforcement
  /** For a host not known yet. */
  readonly accountLimit: number
}

/** What an operator may change about a host. Absent fields stay. */
export interface HostChange {
  readonly banned?: boolean | undefined
  readonly enforcement?: HostEnforcement | undefined
  readonly accountLimit?: number | undefined
}

/**
 * Many hosts in, one verified sequence out.
 *
 * - Per account, events leave in the order in which they came. Invalid ones are dropped with a reason, discontinuous
 *   ones pass and are counted; of an account that is discontinuous again and again, ten and then ten an hour pass.
 *   Bytes are passed as they came, only `seq` is the relay's own.
 * - An event, the state of its account and the number it had at its host become durable as one step. After a crash the
 *   host is read again from its cursor, and what was handled is recognised: nothing is lost, nothing comes twice.
 * - A host is never given up.
 */
export interface Relay extends AsyncDisposable {
  /** Follows every host in the store that is not banned. */
  start(): void
  /**
   * Adds a host, or hurries with one that waits for its next attempt. A host that had been stopped because it did not
   * know its cursor any more is followed from now on, live.
   *
   * Resolves once the connection is open, so that what happens after is not missed, or when the first attempt failed.
   *
   * @returns whether the connection is open.
   */
  follow(host: FollowHostOptions): Promise<boolean>
  /** @returns the host as it is now; `undefined` when it is not known. */
  updateHost(hostname: string, change: HostChange): Promise<HostRecord | undefined>
  /**
   * Takes an account down or puts it back. A takedown stops its events, empties the replay window of them, and says so
   * in an `#account` event. Resolves once the events are gone from the disk too.
   *
   * @returns whether the account is known.
   */
  setTakedown(did: string, applied: boolean): Promise<boolean>
}
