/**
 * A DID document as it travels. Fields beyond these are kept untouched.
 * @see {@link https://atproto.com/specs/did#did-documents}
 */
export interface DidDocument {
  readonly '@context'?: string | readonly unknown[]
  readonly id: string
  readonly alsoKnownAs?: readonly string[]
  readonly verificationMethod?: readonly VerificationMethod[]
  readonly service?: readonly DidService[]
  readonly [key: string]: unknown
}

/** One entry of `verificationMethod`. */
export interface VerificationMethod {
  readonly id: string
  readonly type: string
  readonly controller: string
  readonly publicKeyMultibase?: string
  readonly [key: string]: unknown
}

/** One entry of `service`. The protocol reads only string endpoints. */
export interface DidService {
  readonly id: string
  readonly type: string
  readonly serviceEndpoint: unknown
  readonly [key: string]: unknown
}
