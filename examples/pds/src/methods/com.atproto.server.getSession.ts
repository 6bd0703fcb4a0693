import type { IdentityResolver } from '@skywright/identity'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { viewSession } from '../accounts/account-view.ts'
import type { Auth } from '../sessions/auth.ts'

/** Tells the caller who they are. */
export function getSession(options: {
  readonly auth: Auth
  readonly resolver: IdentityResolver
}): XrpcMethod {
  const { auth, resolver } = options
  return defineMethod(atproto, 'com.atproto.server.getSession', {
    auth: auth.session,
    handler: ({ auth: { account } }) => viewSession(account, resolver),
  })
}
