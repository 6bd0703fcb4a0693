import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { PreferenceStore } from '../preferences.ts'
import type { Auth } from '../sessions/auth.ts'

/** The caller's private settings. */
export function getPreferences(options: {
  readonly auth: Auth
  readonly preferences: PreferenceStore
}): XrpcMethod {
  const { auth, preferences } = options
  return defineMethod(atproto, 'app.bsky.actor.getPreferences', {
    auth: auth.session,
    handler: ({ auth: { account } }) => ({ preferences: [...preferences.get(account.did)] }),
  })
}
