import { defineMethod, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { ViewSession } from '../accounts/account-view.ts'
import type { Auth } from '../sessions/auth.ts'
import type { SessionIssuer } from '../sessions/issue-session.ts'

/** Exchanges a refresh token for a new pair. The old one stays good for a grace period. */
export function refreshSession(options: {
  readonly auth: Auth
  readonly sessions: SessionIssuer
  readonly view: ViewSession
}): XrpcMethod {
  const { auth, sessions, view } = options
  return defineMethod(atproto, 'com.atproto.server.refreshSession', {
    auth: auth.refresh,
    async handler({ auth: { account, tokenId } }) {
      const tokens = sessions.refresh(account, tokenId)
      if (tokens === undefined) {
        throw new InvalidRequestError('Token has been revoked', { error: 'ExpiredToken' })
      }
      return { ...tokens, ...(await view(account)) }
    },
  })
}
