import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { isPersonal, type PreferenceStore } from '../preferences.ts'
import type { Auth } from '../sessions/auth.ts'

/** The caller's private settings; personal details are not for app passwords. */
export function getPreferences(options: {
  readonly auth: Auth
  readonly preferences: PreferenceStore
}): XrpcMethod {
  const { auth, preferences } = options
  return defineMethod(atproto, 'app.bsky.actor.getPreferences', {
    auth: auth.session,
    handler: ({ auth: { account, scope } }) => ({
      preferences: preferences
        .get(account.did)
        .filter((preference) => scope === 'full' || !isPersonal(preference)),
    }),
  })
}
