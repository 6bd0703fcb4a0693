import {
  AuthRequiredError,
  ForbiddenError,
  InvalidRequestError,
  type CallContext,
  type ServiceAuthVerifier,
} from '@skywright/xrpc'
import type { Account, AccountStore } from '../accounts/account-store.ts'
import { parseScope, type SessionScope } from './scope.ts'
import { verifyToken, type TokenClaims, type TokenKind } from './token.ts'

/** A caller who proved to be an account of this server. */
export interface Session {
  readonly account: Account
  /** `session`: an access token of this server. `service`: a token signed with the account's own key. */
  readonly via: 'session' | 'service'
  /** What it may do; service tokens stand for one method, in full. */
  readonly scope: SessionScope
}

/** A caller who holds a refresh token. */
export interface RefreshSession {
  readonly account: Account
  readonly tokenId: string
}

/** Finds out who is calling, or throws. Fits the auth step of a method; the proxy asks by itself. */
export type CallAuth<A> = (call: CallContext) => A | Promise<A>

/** The ways a method can ask who is calling. All refuse suspended and taken down accounts. */
export interface Auth {
  /** An access token; deactivated accounts pass. */
  readonly session: CallAuth<Session>
  /** An access token got with the account's own password: what managing account and identity asks for. */
  readonly fullSession: CallAuth<Session>
  /** An access token of an active account: what every write asks for. */
  readonly activeSession: CallAuth<Session>
  /** An access token, or a service token the account's key signed for this very method; deactivated accounts pass. */
  readonly sessionOrService: CallAuth<Session>
  /** Access token or nothing. A bad token fails as it does elsewhere. */
  readonly optionalSession: CallAuth<Session | undefined>
  /** A service token that any account signed for this very method, or nothing: gives the account's DID. */
  readonly optionalService: CallAuth<string | undefined>
  /** A refresh token. */
  readonly refresh: CallAuth<RefreshSession>
  /** A refresh token, expired ones too: enough to end a session. */
  readonly expiredRefresh: CallAuth<RefreshSession>
}

export interface AuthOptions {
  readonly accounts: AccountStore
  readonly secret: string
  /** DID of this server, the audience of its tokens. */
  readonly serviceDid: string
  readonly serviceAuth: Pick<ServiceAuthVerifier, 'verify'>
  readonly now: () => number
}

/** Makes the auth steps. */
export function createAuth(options: AuthOptions): Auth {
  const { accounts, secret, serviceDid, serviceAuth, now } = options

  function readClaims(kind: TokenKind, token: string, allowExpired = false): TokenClaims {
    const result = verifyToken(kind, token, { secret, audience: serviceDid, nowMs: now() })
    if ('claims' in result && (result.problem === undefined || allowExpired)) return result.claims
    // Clients refresh on exactly this: status 400 and this name. A 401 would end their session.
    if (result.problem === 'expired') {
      throw new InvalidRequestError('Token has expired', { error: 'ExpiredToken' })
    }
    throw refused(
      'InvalidToken',
      result.problem === 'wrong-kind' ? 'Wrong kind of token' : 'Token could not be verified',
    )
  }

  function readAccount(did: string): Account {
    const account = accounts.getByDid(did)
    if (account === undefined || account.status === 'pending') {
      throw refused('AccountNotFound', 'Account not found')
    }
    return refuseRemoved(account)
  }

  const session = (call: CallContext): Session => {
    const claims = readClaims('access', bearer(call))
    const scope = parseScope(claims.scope)
    if (scope === undefined) throw refused('InvalidToken', 'Token has an unknown scope')
    return { account: readAccount(claims.sub), via: 'session', scope }
  }
  const refresh = (call: CallContext, allowExpired: boolean): RefreshSession => {
    const { sub, jti } = readClaims('refresh', bearer(call), allowExpired)
    return { account: readAccount(sub), tokenId: jti ?? '' }
  }

  return {
    session,
    fullSession(call) {
      const found = session(call)
      if (found.scope !== 'full') throw new ForbiddenError('an app password cannot do this')
      return found
    },
    activeSession: (call) => refuseInactive(session(call)),
    async sessionOrService(call) {
      const token = bearer(call)
      if (isOwnToken(token)) return session(call)
      const { iss } = await serviceAuth.verify(token, { lxm: call.nsid })
      return { account: readAccount(iss), via: 'service', scope: 'full' }
    },
    optionalSession: (call) =>
      call.request.headers.get('authorization') === null ? undefined : session(call),
    async optionalService(call) {
      if (call.request.headers.get('authorization') === null) return undefined
      return (await serviceAuth.verify(bearer(call), { lxm: call.nsid })).iss
    },
    refresh: (call) => refresh(call, false),
    expiredRefresh: (call) => refresh(call, true),
  }
}

/** @throws {AuthRequiredError} when the account was suspended or taken down. */
export function refuseRemoved(account: Account): Account {
  if (account.status === 'takendown' || account.status === 'suspended') {
    throw refused('AccountTakedown', 'Account has been taken down')
  }
  return account
}

/** @throws {AuthRequiredError} when the account is gone or may not write. */
export function requireActive(account: Account | undefined): Account {
  if (account === undefined) throw refused('AccountNotFound', 'Account not found')
  if (refuseRemoved(account).status !== 'active') {
    throw refused('AccountDeactivated', 'Account is deactivated')
  }
  return account
}

function refuseInactive(session: Session): Session {
  requireActive(session.account)
  return session
}

function bearer(call: CallContext): string {
  const header = call.request.headers.get('authorization')
  if (header === null) {
    throw refused('AuthMissing', 'Authentication Required')
  }
  const token = /^bearer +(\S+)$/i.exec(header)?.[1]
  if (token === undefined) {
    throw refused('InvalidToken', 'Expected a bearer token')
  }
  return token
}

/** Tokens of this server say so in their header; service tokens have `typ: JWT`. Nothing is trusted yet. */
function isOwnToken(token: string): boolean {
  const header = Buffer.from(token.split('.', 1)[0] ?? '', 'base64url').toString('latin1')
  return /"typ"\s*:\s*"(at|refresh)\+jwt"/.test(header)
}

/** 401 that says which kind of credentials would do. */
function refused(error: string, message: string): AuthRequiredError {
  return new AuthRequiredError(message, { error, headers: { 'www-authenticate': 'Bearer' } })
}
