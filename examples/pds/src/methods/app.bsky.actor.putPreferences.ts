import { RepoError } from '@skywright/repo'
import { defineMethod, ForbiddenError, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { isPersonal, type Preference, type PreferenceStore } from '../preferences.ts'
import type { Auth } from '../sessions/auth.ts'

const NAMESPACE = 'app.bsky.'

/** Replaces the caller's private settings. */
export function putPreferences(options: {
  readonly auth: Auth
  readonly preferences: PreferenceStore
}): XrpcMethod {
  const { auth, preferences } = options
  return defineMethod(atproto, 'app.bsky.actor.putPreferences', {
    auth: auth.session,
    handler({ auth: { account, scope }, input }) {
      const values = input.preferences.map((preference): Preference => {
        if (!preference.$type.startsWith(NAMESPACE)) {
          throw new InvalidRequestError(`Some preferences are not in the ${NAMESPACE} namespace`)
        }
        return { ...preference }
      })
      if (scope !== 'full') {
        if (values.some(isPersonal)) {
          throw new ForbiddenError('an app password cannot change personal details')
        }
        // What the app could not read it must not wipe out.
        values.push(...preferences.get(account.did).filter(isPersonal))
      }
      try {
        preferences.put(account.did, values)
      } catch (cause) {
        if (!(cause instanceof RepoError)) throw cause
        throw new InvalidRequestError(`a preference cannot be kept: ${cause.message}`, { cause })
      }
      return undefined
    },
  })
}
