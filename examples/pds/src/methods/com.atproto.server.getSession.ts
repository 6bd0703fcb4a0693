import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { ViewSession } from '../accounts/account-view.ts'
import type { Auth } from '../sessions/auth.ts'

/** Tells the caller who they are. */
export function getSession(options: {
  readonly auth: Auth
  readonly view: ViewSession
}): XrpcMethod {
  const { auth, view } = options
  return defineMethod(atproto, 'com.atproto.server.getSession', {
    auth: auth.session,
    handler: ({ auth: { account } }) => view(account),
  })
}
