/** The two curves of the AT Protocol: `k256` is secp256k1, `p256` is secp256r1 (NIST P-256). */
export type Curve = 'k256' | 'p256'

/** JWS algorithm name of a curve: `ES256K` for k256, `ES256` for p256. */
export type JwtAlg = 'ES256K' | 'ES256'

/** How strictly {@link PublicKey.verify} reads a signature. */
export interface VerifyOptions {
  /**
   * Accept the high-S twin of a signature as well. The protocol forbids it everywhere except in JWTs,
   * which some deployed libraries sign without normalising.
   * @defaultValue false
   */
  readonly allowHighS?: boolean
}

/**
 * A parsed public key: parse once, verify many times. Safe to cache and share; its backend key object is made on
 * first use and kept.
 */
export interface PublicKey {
  readonly curve: Curve
  /** 33-byte compressed point. Do not write to it. */
  readonly bytes: Uint8Array
  /** `did:key:z…` */
  readonly didKey: string
  /** The multikey text: `z…` (what `publicKeyMultibase` holds). */
  readonly multibase: string
  readonly jwtAlg: JwtAlg
  /**
   * True when `signature` is a 64-byte compact low-S ECDSA signature over the SHA-256 of `bytes` by this key.
   * Never throws on bad input: DER, wrong length, high-S, zero or out-of-range numbers are all `false`.
   * @see {@link https://atproto.com/specs/cryptography#ecdsa-signature-malleability}
   */
  verify(bytes: Uint8Array, signature: Uint8Array, options?: VerifyOptions): boolean
}

/**
 * Whatever can sign for a key: a {@link PrivateKey}, or a key held elsewhere (KMS, HSM, another process).
 * `sign` receives the message, not its digest, and answers 64 bytes, compact and low-S, over its SHA-256.
 */
export interface SigningKey {
  readonly curve: Curve
  readonly didKey: string
  readonly jwtAlg: JwtAlg
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** A private key in memory. It prints and serialises as its did:key only; {@link export} is the one way to the secret. */
export interface PrivateKey extends SigningKey {
  readonly publicKey: PublicKey
  /** 64-byte compact low-S signature over the SHA-256 of `bytes`, deterministic (RFC 6979). */
  sign(bytes: Uint8Array): Uint8Array
  /** A copy of the 32 secret bytes. */
  export(): Uint8Array
}
