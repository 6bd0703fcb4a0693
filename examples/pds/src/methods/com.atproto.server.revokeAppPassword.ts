import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AppPasswordStore } from '../sessions/app-password-store.ts'
import type { Auth } from '../sessions/auth.ts'
import type { SessionStore } from '../sessions/session-store.ts'

/** Ends an app password and the sessions started with it. Their access tokens run out by themselves. */
export function revokeAppPassword(options: {
  readonly auth: Auth
  readonly appPasswords: AppPasswordStore
  readonly sessions: SessionStore
}): XrpcMethod {
  const { auth, appPasswords, sessions } = options
  return defineMethod(atproto, 'com.atproto.server.revokeAppPassword', {
    auth: auth.fullSession,
    handler({ auth: { account }, input: { name } }) {
      appPasswords.remove(account.did, name)
      sessions.revokeApp(account.did, name)
      return undefined
    },
  })
}
