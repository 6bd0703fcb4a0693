import { importPrivateKey } from '@skywright/identity/keys'
import {
  createServiceJwt,
  defineMethod,
  ForbiddenError,
  isProtectedMethod,
  type XrpcMethod,
} from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { Auth } from '../sessions/auth.ts'
import { mayCall } from '../sessions/scope.ts'

/** Longest life of a token for one method, seconds. */
const MAX_LIFETIME_SECONDS = 3_600
/** Longest audience, characters. */
const MAX_AUDIENCE = 2_048
/** Life of a token when none is asked for, seconds. */
const DEFAULT_LIFETIME_SECONDS = 60

/** Signs a service token with the account's own key, for a client that talks to another service itself. */
export function getServiceAuth(options: {
  readonly auth: Auth
  readonly now: () => number
}): XrpcMethod {
  const { auth, now } = options
  return defineMethod(atproto, 'com.atproto.server.getServiceAuth', {
    auth: auth.session,
    async handler({ auth: { account, scope }, params, error }) {
      const { aud, lxm, exp } = params
      if (aud.length > MAX_AUDIENCE || !/^did:[a-z]+:[^\s#]+(#[^\s#]+)?$/.test(aud)) {
        throw error('InvalidRequest', 'aud must be a DID, or a DID with the fragment of a service')
      }
      if (lxm === undefined) {
        throw error('InvalidRequest', 'lxm must name a method: services refuse tokens without one')
      }
      if (isProtectedMethod(lxm)) {
        throw new ForbiddenError(`cannot sign a token for a protected method: ${lxm}`)
      }
      if (!mayCall(scope, lxm)) {
        throw new ForbiddenError(`an app password cannot have a token signed for ${lxm}`)
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
      const key = importPrivateKey('k256', account.signingKey)
      const token = await createServiceJwt({
        iss: account.did,
        aud,
        lxm,
        key,
        lifetimeSeconds,
        now,
      })
      return { token }
    },
  })
}
