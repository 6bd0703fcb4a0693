import type { CommitEvent, SyncEvent } from '../event.ts'
import type { ChainStore } from './chain-store.ts'
import type { Outcome } from './outcome.ts'

/** What the verifier needs to know of a key: structurally satisfied by `@skywright/identity/keys`. */
export interface SigningKey {
  verify(bytes: Uint8Array, signature: Uint8Array): boolean
}

/** Who an account is, as far as verification cares. */
export interface AccountIdentity {
  readonly signingKey: SigningKey | undefined
  /** Origin of the account's PDS. */
  readonly pds: string | undefined
}

/** Finds keys and hosts of accounts. {@link createIdentitySource} makes one from an identity resolver. */
export interface IdentitySource {
  /** Cached identity if there is one, without waiting. */
  peek(did: string): AccountIdentity | undefined
  /**
   * Asks the network.
   *
   * @param refresh do not answer from a cache: the cached key failed.
   * @throws when the identity could not be determined; that is not a bad signature.
   */
  resolve(
    did: string,
    options: { readonly refresh: boolean; readonly signal?: AbortSignal },
  ): Promise<AccountIdentity>
  /** Forgets what is cached, after `#identity`. */
  purge(did: string): void
}

/**
 * - `consumer`: a discontinuous commit is reported and not delivered; the repository must be fetched again.
 * - `relay`: a discontinuous commit is passed on, its state adopted, and counted.
 */
export type ChainPolicy = 'consumer' | 'relay'

export interface EventVerifierOptions {
  readonly identity: IdentitySource
  readonly chain: ChainStore
  /** @defaultValue 'consumer' */
  readonly policy?: ChainPolicy
  /** Accept commits without `prevData` or op `prev` (legacy senders). @defaultValue false */
  readonly lenient?: boolean
  readonly now?: () => number
}

/** Proves events of many accounts, keeping their chain state. Calls for one account must not overlap. */
export interface EventVerifier {
  readonly policy: ChainPolicy
  verify(
    event: CommitEvent | SyncEvent,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Outcome>
  /** Stores the state of an accepted event durably: call it when the event was completely handled. */
  settle(outcome: Outcome): void | Promise<void>
  /** After `#identity`: the next event resolves afresh. */
  purge(did: string): void
}
