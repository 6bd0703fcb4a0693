/** What the verifier needs to know of a key: structurally satisfied by `@skywright/identity/keys`. */
export interface SigningKey {
  /** Names the key, for proofs in other threads. */
  readonly didKey?: string
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
