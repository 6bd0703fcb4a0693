import { createHmac, timingSafeEqual } from 'node:crypto'

/** What a session token is for. The two kinds can never stand in for each other. */
export type TokenKind = 'access' | 'refresh'

/** The claims of a session token of this server. */
export interface TokenClaims {
  readonly sub: string
  readonly aud: string
  readonly scope: string
  /** Issue and expiry time, seconds since 1970. */
  readonly iat: number
  readonly exp: number
  /** Id of a refresh token; access tokens carry none. */
  readonly jti?: string
}

/** Why a token was refused. */
export type TokenProblem =
  'malformed' | 'wrong-kind' | 'bad-signature' | 'wrong-audience' | 'expired'

const TYP: Record<TokenKind, string> = { access: 'at+jwt', refresh: 'refresh+jwt' }
const HEADERS: Record<TokenKind, string> = {
  access: base64url(JSON.stringify({ typ: TYP.access, alg: 'HS256' })),
  refresh: base64url(JSON.stringify({ typ: TYP.refresh, alg: 'HS256' })),
}
const MAX_TOKEN_CHARACTERS = 4_096

/** Signs a session token: a JWT clients may decode for its `exp` and `scope`. */
export function signToken(kind: TokenKind, claims: TokenClaims, secret: string): string {
  const content = `${HEADERS[kind]}.${base64url(JSON.stringify(claims))}`
  return `${content}.${mac(content, secret)}`
}

/**
 * Checks a session token of one kind. Expiry is reported after the signature was found good, so an
 * `expired` answer still names a genuine token, whose claims it carries.
 */
export function verifyToken(
  kind: TokenKind,
  token: string,
  options: { readonly secret: string; readonly audience: string; readonly nowMs: number },
):
  | { readonly claims: TokenClaims; readonly problem?: 'expired' }
  | { readonly problem: TokenProblem } {
  if (token.length > MAX_TOKEN_CHARACTERS) return { problem: 'malformed' }
  const parts = token.split('.')
  const [header, payload, signature] = parts
  if (
    parts.length !== 3 ||
    header === undefined ||
    payload === undefined ||
    signature === undefined
  ) {
    return { problem: 'malformed' }
  }
  // Only headers written by signToken are accepted: no other algorithm, key or type exists here.
  if (header !== HEADERS[kind]) return { problem: 'wrong-kind' }
  const expected = Buffer.from(mac(`${header}.${payload}`, options.secret))
  const actual = Buffer.from(signature)
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) {
    return { problem: 'bad-signature' }
  }
  const claims = parseClaims(payload)
  if (claims === undefined) return { problem: 'malformed' }
  if (claims.aud !== options.audience) return { problem: 'wrong-audience' }
  return claims.exp * 1000 <= options.nowMs ? { claims, problem: 'expired' } : { claims }
}

function parseClaims(payload: string): TokenClaims | undefined {
  // The signature was checked: this is what signToken wrote.
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as TokenClaims
  const complete = typeof claims.sub === 'string' && typeof claims.exp === 'number'
  return complete ? claims : undefined
}

function mac(content: string, secret: string): string {
  return createHmac('sha256', secret).update(content).digest('base64url')
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
