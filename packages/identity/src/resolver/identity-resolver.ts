import type { DidDocument } from '../did-document.ts'
import type { HandleMethod } from '../handle/resolve.ts'
import type { PublicKey } from '../keys/key.ts'

/** Where an answer came from. `stale` is a cached answer past its freshness, given while a new one is fetched. */
export type ResolutionSource = 'network' | 'cache' | 'stale'

/** Options of every lookup. */
export interface ResolveOptions {
  /** Gives up waiting; a lookup that others wait for continues for them. */
  readonly signal?: AbortSignal
  /**
   * Go past the cache (after a signature that does not verify, say). Limited per DID: when the last forced refresh of
   * this DID is too recent, the cached answer is given and its `source` is `cache`.
   * @defaultValue false
   */
  readonly refresh?: boolean
}

/** A DID and its document. */
export interface DidResolution {
  readonly did: string
  /** Parsed and checked: `id` equals `did`. */
  readonly document: DidDocument
  /** The account's `#atproto` key, parsed once per fetched document; absent when there is none that is usable. */
  readonly signingKey?: PublicKey | undefined
  /** Origin of the account's PDS; absent when the document names none that is usable. */
  readonly pds?: string | undefined
  readonly source: ResolutionSource
  /** Milliseconds since the document was fetched; 0 when it comes straight from the network. */
  readonly ageMs: number
}

/** The answer to a handle lookup. One direction only: the DID document was not consulted. */
export interface HandleResolution {
  readonly handle: string
  readonly did: string
  /** Which method answered. */
  readonly method: HandleMethod
  readonly source: ResolutionSource
  readonly ageMs: number
}

/** An account as the protocol sees it. */
export interface Identity {
  readonly did: string
  /** Checked in both directions; `handle.invalid` when the check failed or no handle is declared. */
  readonly handle: string
  /** Why `handle` is `handle.invalid`; absent when it is valid. */
  readonly handleError?: Error | undefined
  readonly document: DidDocument
  /** Origin of the account's PDS; absent when the document names none that is usable. */
  readonly pds?: string | undefined
  /** The account's `#atproto` key; absent when the document has none that is usable. */
  readonly signingKey?: PublicKey | undefined
  readonly source: ResolutionSource
  readonly ageMs: number
}

/** Resolves DIDs and handles, with one cache for everybody who shares it. */
export interface IdentityResolver {
  /**
   * The document of a DID.
   * @throws {InvalidSyntaxError} when `did` is not a DID
   * @throws {UnsupportedDidMethodError} when the method is neither `plc` nor `web`
   * @throws {DidNotFoundError} when the directory or host says there is none
   * @throws {DidDeactivatedError} when it was tombstoned
   * @throws {InvalidDidDocumentError} when the answer is not this DID's document
   * @throws {ResolutionFailedError} when there was no usable answer; see `retryable`
   */
  resolveDid(did: string, options?: ResolveOptions): Promise<DidResolution>
  /**
   * The DID a handle points at, without the check back.
   * @throws {InvalidSyntaxError} when `handle` is not a handle, or may not be resolved (reserved top-level domain)
   * @throws {HandleNotFoundError} when every method says there is none
   * @throws {HandleAmbiguousError} when DNS names several DIDs
   * @throws {ResolutionFailedError} when there was no usable answer; see `retryable`
   */
  resolveHandle(handle: string, options?: ResolveOptions): Promise<HandleResolution>
  /**
   * The whole identity, from a DID or a handle, checked in both directions. From a DID, a handle that does not check
   * out is reported as `handle.invalid`; from a handle, that is an error.
   * @throws what {@link resolveDid} and {@link resolveHandle} throw, and {@link HandleMismatchError}
   */
  resolveIdentity(didOrHandle: string, options?: ResolveOptions): Promise<Identity>
  /** Forgets what is cached about a DID and the handles that led to it (call it on `#identity` events). */
  purge(did: string): void
}
