import type { PrivateKey } from '@skywright/identity/keys'
import type { IdentityResolver } from '@skywright/identity'
import type { AuthStep } from './method.ts'

/** Claims of a service token. */
export interface ServiceJwtOptions {
  /** DID of the account or service that asks. */
  readonly iss: string
  /** The service asked, `did#id` or (older services) the bare DID. */
  readonly aud: string
  /** NSID of the one method the token is good for. */
  readonly lxm: string
  readonly key: Pick<PrivateKey, 'jwtAlg' | 'sign'>
  /** Key id in the issuer's DID document. @defaultValue `#atproto`, which is left out of the header */
  readonly kid?: string
  /** Seconds from now. @defaultValue 60 */
  readonly lifetimeSeconds?: number
  /** Nonce. @defaultValue 16 random bytes in hex */
  readonly jti?: string
  /** Milliseconds since 1970. @defaultValue Date.now */
  readonly now?: () => number
}

/** Mints a service token. Remote keys may sign asynchronously. */
export declare function createServiceJwt(options: ServiceJwtOptions): Promise<string>

/** What a verified service token says. */
export interface ServiceCredentials {
  readonly iss: string
  readonly aud: string
  readonly lxm: string
  /** Key id that the signature was made with, `#atproto` by default. */
  readonly keyId: string
  /** Seconds since 1970. */
  readonly exp: number
  readonly jti: string | undefined
}

/** Options of {@link createServiceAuthVerifier}. */
export interface ServiceAuthVerifierOptions {
  /** Exact audiences accepted, each a DID or `did#id`. */
  readonly audience: readonly string[]
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
  /** Key ids accepted. @defaultValue `['#atproto']` */
  readonly keyIds?: readonly string[]
  readonly now?: () => number
}

/** Checks service tokens. */
export interface ServiceAuthVerifier {
  /** @throws {AuthRequiredError} naming what is wrong */
  verify(token: string, expected: { readonly lxm: string }): Promise<ServiceCredentials>
  /** The verifier as the auth step of a method: a bearer token is required. */
  readonly required: AuthStep<ServiceCredentials>
  /** The same, `undefined` when no authorization header was sent. */
  readonly optional: AuthStep<ServiceCredentials | undefined>
}

/** Makes a verifier of service tokens. */
export declare function createServiceAuthVerifier(
  options: ServiceAuthVerifierOptions,
): ServiceAuthVerifier
