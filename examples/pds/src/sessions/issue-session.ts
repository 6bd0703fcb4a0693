import type { Account } from '../accounts/account-store.ts'
import type { AppPassword, AppPasswordStore } from './app-password-store.ts'
import { SCOPE_CLAIMS, scopeOf } from './scope.ts'
import type { RefreshGrant, SessionStore } from './session-store.ts'
import { signToken } from './token.ts'

/** How long an access token is good. */
export const ACCESS_LIFETIME_MS: number = 2 * 3_600_000

/** A pair of tokens. */
export interface TokenPair {
  readonly accessJwt: string
  readonly refreshJwt: string
}

/** Starts and continues sessions. */
export interface SessionIssuer {
  /** Starts a session, with an app password when one was used. */
  start(account: Account, app?: AppPassword): TokenPair
  /** A new pair for a refresh token; `undefined` when the token is no longer good. */
  refresh(account: Account, tokenId: string): TokenPair | undefined
}

/** Makes tokens whose audience is this server. */
export function createSessionIssuer(options: {
  readonly sessions: SessionStore
  readonly appPasswords: AppPasswordStore
  readonly secret: string
  readonly serviceDid: string
  readonly now: () => number
}): SessionIssuer {
  const { sessions, appPasswords, secret, serviceDid, now } = options

  function tokens(account: Account, grant: RefreshGrant, app: AppPassword | undefined): TokenPair {
    const iat = Math.floor(now() / 1000)
    const common = { sub: account.did, aud: serviceDid, iat }
    return {
      accessJwt: signToken(
        'access',
        { ...common, scope: SCOPE_CLAIMS[scopeOf(app)], exp: iat + ACCESS_LIFETIME_MS / 1000 },
        secret,
      ),
      refreshJwt: signToken(
        'refresh',
        {
          ...common,
          scope: 'com.atproto.refresh',
          exp: Math.floor(grant.expiresAt / 1000),
          jti: grant.id,
        },
        secret,
      ),
    }
  }

  return {
    start: (account, app) => tokens(account, sessions.start(account.did, now(), app?.name), app),
    refresh(account, tokenId) {
      const grant = sessions.rotate(tokenId, now())
      if (grant === undefined) return undefined
      if (grant.app === undefined) return tokens(account, grant, undefined)
      const app = appPasswords.get(account.did, grant.app)
      return app === undefined ? undefined : tokens(account, grant, app)
    },
  }
}
