/** Signs with the account's signing key. `@skywright/identity` private keys satisfy it; a key management service may answer asynchronously. */
export interface Signer {
  /**
   * Gives the 64-byte compact low-S ECDSA signature over the SHA-256 of `bytes`.
   *
   * @see {@link https://atproto.com/specs/cryptography#ecdsa-signature-malleability}
   */
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** Checks signatures of one public key. `@skywright/identity` public keys satisfy it. */
export interface Verifier {
  /** Tells whether `signature` is the compact low-S signature of this key over the SHA-256 of `bytes`; never throws on a bad signature. */
  verify(bytes: Uint8Array, signature: Uint8Array): boolean
}
