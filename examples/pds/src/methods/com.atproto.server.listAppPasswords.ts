import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AppPasswordStore } from '../sessions/app-password-store.ts'
import type { Auth } from '../sessions/auth.ts'

/** Lists the caller's app passwords by name, oldest first. */
export function listAppPasswords(options: {
  readonly auth: Auth
  readonly appPasswords: AppPasswordStore
}): XrpcMethod {
  const { auth, appPasswords } = options
  return defineMethod(atproto, 'com.atproto.server.listAppPasswords', {
    auth: auth.fullSession,
    handler: ({ auth: { account } }) => ({
      passwords: appPasswords.list(account.did).map(({ name, privileged, createdAt }) => ({
        name,
        privileged,
        createdAt: new Date(createdAt).toISOString(),
      })),
    }),
  })
}
