import { importPrivateKey } from '@skywright/identity/keys'
import { createServiceJwt, defineMethod, ForbiddenError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { PROTECTED_METHODS } from '../proxy/protected-methods.ts'
import type { Auth } from '../sessions/auth.ts'

/** Longest life of a token for one method, seconds. */
const MAX_LIFETIME_SECONDS = 3_600
/** Life of a token when none is asked for, and the longest for one that names no method, seconds. */
const DEFAULT_LIFETIME_SECONDS = 60

/** Signs a service token with the account's own key, for a client that talks to another service itself. */
export function getServiceAuth(options: {
  readonly auth: Auth
  readonly now: () => number
}): XrpcMethod {
  const { auth, now } = options
  return defineMethod(atproto, 'com.atproto.server.getServiceAuth', {
    auth: auth.session,
    async handler({ auth: { account }, params, error }) {
      const { aud, lxm, exp } = params
      if (lxm !== undefined && PROTECTED_METHODS.has(lxm)) {
        throw new ForbiddenError(`cannot sign a token for a protected method: ${lxm}`)
      }
      const nowSeconds = Math.floor(now() / 1000)
      const lifetimeSeconds = exp === undefined ? DEFAULT_LIFETIME_SECONDS : exp - nowSeconds
      if (lifetimeSeconds <= 0) throw error('BadExpiration', 'expiration is in the past')
      if (lifetimeSeconds > MAX_LIFETIME_SECONDS) {
        throw error(
          'BadExpiration',
          'cannot request a token with an expiration more than an hour in the future',
        )
      }
      if (lxm === undefined && lifetimeSeconds > DEFAULT_LIFETIME_SECONDS) {
        throw error(
          'BadExpiration',
          'cannot request a method-less token with an expiration more than a minute in the future',
        )
      }
      const key = importPrivateKey('k256', account.signingKey)
      const token = await createServiceJwt({
        iss: account.did,
        aud,
        ...(lxm === undefined ? {} : { lxm }),
        key,
        lifetimeSeconds,
        now,
      })
      return { token }
    },
  })
}
