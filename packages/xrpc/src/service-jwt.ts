import type { SigningKey } from '@skywright/identity/keys'
import { toString } from 'uint8arrays/to-string'
import { decodeBase64Url, encodeBase64Url } from './base64.ts'
import { AuthRequiredError } from './errors.ts'

/** A minute, which is what the protocol calls typical. */
const DEFAULT_LIFETIME_SECONDS = 60
const NONCE_BYTES = 16
/** A token with the longest claims the protocol allows stays well below this. */
const MAX_TOKEN_LENGTH = 8_192
const SIGNATURE_BYTES = 64

/** Claims and key of {@link createServiceJwt}. */
export interface ServiceJwtOptions {
  /** DID of the account or service that asks, without a fragment. */
  readonly iss: string
  /** The service asked: `did#id`, or the bare DID that older services expect. */
  readonly aud: string
  /** NSID of the one method the token is good for. */
  readonly lxm: string
  /** Signs; may be a key held elsewhere. */
  readonly key: Pick<SigningKey, 'jwtAlg' | 'sign'>
  /**
   * Key id in the issuer's DID document, with its number sign.
   * @defaultValue absent, which means `#atproto`
   */
  readonly kid?: string
  /** How long the token is good for. Ignored when `exp` is given. @defaultValue 60 */
  readonly lifetimeSeconds?: number
  /** End of validity in seconds since 1970. */
  readonly exp?: number
  /** Nonce. @defaultValue 16 random bytes in hex */
  readonly jti?: string
  /** Milliseconds since 1970. @defaultValue `Date.now` */
  readonly now?: () => number
}

/**
 * Mints a service token, good for one method at one service.
 *
 * @throws {TypeError} when a claim is malformed
 * @see {@link https://atproto.com/specs/xrpc#inter-service-authentication-jwt}
 */
export async function createServiceJwt(options: ServiceJwtOptions): Promise<string> {
  const { iss, aud, lxm, key, kid, lifetimeSeconds = DEFAULT_LIFETIME_SECONDS } = options
  const {
    now = Date.now,
    jti = toString(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)), 'hex'),
  } = options
  if (!/^did:[a-z]+:[^#]+$/.test(iss)) throw new TypeError('iss must be a DID without a fragment')
  if (!/^did:[a-z]+:[^#]+(?:#[^#]+)?$/.test(aud)) throw new TypeError('aud must be a DID or did#id')
  if (lxm === '') throw new TypeError('lxm must name a method')
  if (kid !== undefined && !/^#.+$/.test(kid)) throw new TypeError('kid must start with #')
  const iat = Math.floor(now() / 1000)
  const exp = options.exp ?? iat + lifetimeSeconds
  const header = { typ: 'JWT', alg: key.jwtAlg, ...(kid === undefined ? {} : { kid }) }
  const payload = { iat, iss, aud, exp, lxm, jti }
  const signed = `${encodePart(header)}.${encodePart(payload)}`
  const signature = await key.sign(new TextEncoder().encode(signed))
  return `${signed}.${encodeBase64Url(signature)}`
}

/** A service token taken apart. Nothing about it has been verified. */
export interface ParsedServiceJwt {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
  /** What the signature is over. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Takes a token apart without verifying anything.
 *
 * @throws {AuthRequiredError} `BadJwt` when it is not three parts of the right shape
 */
export function parseServiceJwt(token: string): ParsedServiceJwt {
  if (token.length > MAX_TOKEN_LENGTH) throw badJwt('too long')
  const parts = token.split('.')
  const [first, second, third] = parts
  if (parts.length !== 3 || first === undefined || second === undefined || third === undefined) {
    throw badJwt('not three parts')
  }
  const signature = decodeBase64Url(third)
  if (signature?.length !== SIGNATURE_BYTES) throw badJwt('signature is not 64 bytes')
  return {
    header: decodePart(first),
    payload: decodePart(second),
    signed: new TextEncoder().encode(`${first}.${second}`),
    signature,
  }
}

function badJwt(reason: string): AuthRequiredError {
  return new AuthRequiredError(`malformed service token: ${reason}`, { error: 'BadJwt' })
}

function encodePart(part: object): string {
  return encodeBase64Url(new TextEncoder().encode(JSON.stringify(part)))
}

function decodePart(text: string): Record<string, unknown> {
  const bytes = decodeBase64Url(text)
  if (bytes === undefined) throw badJwt('not base64url')
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw badJwt('not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badJwt('not a JSON object')
  }
  return value as Record<string, unknown>
}
