import type { DidDocument, DidResolution, IdentityResolver } from '@skywright/identity'
import type { PublicKey } from '@skywright/identity/keys'
import { AuthRequiredError, UpstreamFailureError } from './errors.ts'
import type { AuthContext, AuthStep } from './method.ts'
import { createReplayCache } from './replay-cache.ts'
import type { ReplayCache } from './replay-cache.ts'
import { parseServiceJwt } from './service-jwt.ts'
import type { ParsedServiceJwt } from './service-jwt.ts'

const DEFAULT_KEY_ID = '#atproto'
/** An hour: the longest a PDS mints a token for. */
const MAX_LIFETIME_SECONDS = 3_600
const CLOCK_SKEW_SECONDS = 15
const MAX_CLAIM_LENGTH = 2_048

/** What a verified service token says. */
export interface ServiceCredentials {
  /** DID of the account or service that asks. */
  readonly iss: string
  /** The audience as the token names it, one of those configured. */
  readonly aud: string
  readonly lxm: string
  /** Key id that the signature was made with. */
  readonly keyId: string
  /** Seconds since 1970. */
  readonly exp: number
  /** `undefined` only with {@link ServiceAuthVerifierOptions.allowIncompleteTokens}. */
  readonly jti: string | undefined
}

/** Options of {@link createServiceAuthVerifier}. */
export interface ServiceAuthVerifierOptions {
  /**
   * Audiences accepted, compared exactly. A bare DID is a value of its own, not a stand-in for its services.
   */
  readonly audience: readonly string[]
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>
  /** Key ids accepted, with their number signs. @defaultValue `['#atproto']` */
  readonly keyIds?: readonly string[]
  /** Where nonces are remembered; `false` turns the check off. @defaultValue in memory */
  readonly replayCache?: ReplayCache | false
  /** Longest time a token may be valid for from now. @defaultValue 3,600 */
  readonly maxLifetimeSeconds?: number
  /** How far the clocks of issuers may be off. @defaultValue 15 */
  readonly clockSkewSeconds?: number
  /** Takes signatures in the high-S form that the protocol forbids and some libraries make. @defaultValue false */
  readonly allowHighS?: boolean
  /** Takes tokens without `iat` or `jti`, which some older servers send. @defaultValue false */
  readonly allowIncompleteTokens?: boolean
  /** Milliseconds since 1970. @defaultValue `Date.now` */
  readonly now?: () => number
}

/** Checks service tokens. */
export interface ServiceAuthVerifier {
  /**
   * Verifies a token for one method.
   *
   * @throws {AuthRequiredError} named `BadJwt`, `BadJwtType`, `BadJwtAlgorithm`, `BadJwtIssuer`, `BadJwtAudience`,
   * `BadJwtLexiconMethod`, `BadJwtKeyId`, `BadJwtSignature`, `JwtExpired`, `JwtNotYetValid` or `JwtReplayed`
   * @throws {UpstreamFailureError} when the issuer's DID document could not be fetched
   */
  verify(token: string, expected: { readonly lxm: string }): Promise<ServiceCredentials>
  /** The auth step of a method that needs a token. */
  readonly required: AuthStep<ServiceCredentials>
  /** The auth step of a method that also serves callers without an authorization header. */
  readonly optional: AuthStep<ServiceCredentials | undefined>
}

interface Claims {
  readonly iss: string
  readonly aud: string
  readonly lxm: string
  readonly exp: number
  readonly jti: string | undefined
  readonly keyId: string
  readonly alg: string
}

/**
 * Makes a verifier of service tokens.
 *
 * A token must be for one of the configured audiences, exactly; for the method called; signed by a configured key of its
 * issuer, low-S, with the algorithm of that key; within its time; and not seen before. When the signature does not fit,
 * the issuer's document is refreshed once, and tried again only if the key changed.
 *
 * @see {@link https://atproto.com/specs/xrpc#inter-service-authentication-jwt}
 */
export function createServiceAuthVerifier(
  options: ServiceAuthVerifierOptions,
): ServiceAuthVerifier {
  const { resolver, replayCache = createReplayCache(options), allowHighS = false } = options
  if (options.audience.length === 0) throw new TypeError('audience must name at least one service')
  const keys = new WeakMap<DidDocument, Map<string, PublicKey | undefined>>()

  async function keyOf({ document }: DidResolution, keyId: string): Promise<PublicKey | undefined> {
    let known = keys.get(document)
    if (known === undefined) keys.set(document, (known = new Map()))
    if (!known.has(keyId)) {
      // Not imported with this module: who only calls methods needs no elliptic curves.
      const { getVerificationKey } = await import('@skywright/identity')
      known.set(keyId, getVerificationKey(document, keyId))
    }
    return known.get(keyId)
  }

  function signedBy(key: PublicKey | undefined, jwt: ParsedServiceJwt, alg: string): boolean {
    return key?.jwtAlg === alg && key.verify(jwt.signed, jwt.signature, { allowHighS })
  }

  async function checkSignature(jwt: ParsedServiceJwt, { iss, keyId, alg }: Claims): Promise<void> {
    const key = await keyOf(await resolve(resolver, iss, false), keyId)
    if (signedBy(key, jwt, alg)) return
    const fresh = await keyOf(await resolve(resolver, iss, true), keyId)
    if (fresh === undefined) throw refused('BadJwtKeyId', 'issuer has no such key')
    if (fresh.didKey !== key?.didKey && signedBy(fresh, jwt, alg)) return
    throw fresh.jwtAlg === alg
      ? refused('BadJwtSignature', 'signature does not verify')
      : refused('BadJwtAlgorithm', 'algorithm is not that of the key')
  }

  async function verify(
    token: string,
    expected: { readonly lxm: string },
  ): Promise<ServiceCredentials> {
    const jwt = parseServiceJwt(token)
    const claims = checkClaims(jwt, expected.lxm, options)
    await checkSignature(jwt, claims)
    const { alg: _alg, ...credentials } = claims
    if (replayCache !== false && claims.jti !== undefined) {
      const until = (claims.exp + (options.clockSkewSeconds ?? CLOCK_SKEW_SECONDS)) * 1000
      const fresh = await replayCache.add(`${claims.iss} ${claims.jti}`, until)
      if (!fresh) throw refused('JwtReplayed', 'token was used before')
    }
    return credentials
  }

  return {
    verify,
    required: async (call) => verify(bearerToken(call), { lxm: call.nsid }),
    optional: async (call) =>
      call.request.headers.get('authorization') === null
        ? undefined
        : verify(bearerToken(call), { lxm: call.nsid }),
  }
}

function checkClaims(
  { header, payload }: ParsedServiceJwt,
  expectedLxm: string,
  options: ServiceAuthVerifierOptions,
): Claims {
  const { keyIds = [DEFAULT_KEY_ID], audience, allowIncompleteTokens = false } = options
  const { typ, alg, kid = DEFAULT_KEY_ID, crit } = header
  if (typ !== undefined && (typeof typ !== 'string' || typ.toUpperCase() !== 'JWT')) {
    throw refused('BadJwtType', 'token is of another type')
  }
  if (crit !== undefined) throw refused('BadJwt', 'token has critical extensions')
  if (alg !== 'ES256' && alg !== 'ES256K')
    throw refused('BadJwtAlgorithm', 'algorithm not accepted')
  if (typeof kid !== 'string' || !keyIds.includes(kid)) {
    throw refused('BadJwtKeyId', 'key id not accepted')
  }
  const { iss, aud, lxm, jti } = payload
  if (!isClaim(iss) || !/^did:[a-z]+:[^#]+$/.test(iss)) {
    throw refused('BadJwtIssuer', 'iss is not a DID')
  }
  if (!isClaim(aud) || !audience.includes(aud)) {
    throw refused('BadJwtAudience', 'token is for another service')
  }
  if (lxm !== expectedLxm) throw refused('BadJwtLexiconMethod', 'token is for another method')
  if (jti !== undefined && !isClaim(jti)) throw refused('BadJwt', 'jti is not text')
  if (jti === undefined && !allowIncompleteTokens) throw refused('BadJwt', 'token without jti')
  const exp = checkTimes(payload, allowIncompleteTokens, options)
  return { iss, aud, lxm: expectedLxm, exp, jti, keyId: kid, alg }
}

function checkTimes(
  { exp, iat, nbf }: Readonly<Record<string, unknown>>,
  allowIncomplete: boolean,
  options: ServiceAuthVerifierOptions,
): number {
  const { clockSkewSeconds: skew = CLOCK_SKEW_SECONDS, now = Date.now } = options
  const { maxLifetimeSeconds = MAX_LIFETIME_SECONDS } = options
  const time = now() / 1000
  if (!isTime(exp)) throw refused('BadJwt', 'exp is not a time')
  if (exp <= time - skew) throw refused('JwtExpired', 'token has expired')
  if (exp > time + maxLifetimeSeconds + skew) throw refused('BadJwt', 'exp is too far away')
  if (iat === undefined ? !allowIncomplete : !isTime(iat)) {
    throw refused('BadJwt', 'iat is not a time')
  }
  for (const start of [iat, nbf]) {
    if (start === undefined) continue
    if (!isTime(start)) throw refused('BadJwt', 'nbf is not a time')
    if (start > time + skew) throw refused('JwtNotYetValid', 'token is from the future')
  }
  return exp
}

function isClaim(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_CLAIM_LENGTH
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

async function resolve(
  resolver: ServiceAuthVerifierOptions['resolver'],
  did: string,
  refresh: boolean,
): Promise<DidResolution> {
  try {
    return await resolver.resolveDid(did, { refresh })
  } catch (cause) {
    // An answer that will stay the same is the token's fault; no answer is nobody's.
    const { retryable } = cause as { readonly retryable?: unknown }
    if (retryable === true) {
      throw new UpstreamFailureError('could not resolve the issuer of the token', { cause })
    }
    throw refused('BadJwtIssuer', 'issuer does not resolve', cause)
  }
}

function bearerToken(call: AuthContext): string {
  const header = call.request.headers.get('authorization')
  const match = /^Bearer +([^\s]+)$/i.exec(header ?? '')
  if (match?.[1] === undefined) throw refused('AuthenticationRequired', 'a bearer token is needed')
  return match[1]
}

function refused(error: string, message: string, cause?: unknown): AuthRequiredError {
  return new AuthRequiredError(message, { error, cause })
}
