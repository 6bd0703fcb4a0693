import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { Auth } from '../sessions/auth.ts'
import type { SessionStore } from '../sessions/session-store.ts'

/** Ends a session, by its refresh token. */
export function deleteSession(options: {
  readonly auth: Auth
  readonly sessions: SessionStore
}): XrpcMethod {
  const { auth, sessions } = options
  return defineMethod(atproto, 'com.atproto.server.deleteSession', {
    auth: auth.expiredRefresh,
    handler({ auth: { tokenId } }) {
      sessions.revoke(tokenId)
      return undefined
    },
  })
}
