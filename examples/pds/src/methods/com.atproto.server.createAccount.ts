import type { IdentityResolver } from '@skywright/identity'
import { AuthRequiredError, defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { ViewSession } from '../accounts/account-view.ts'
import type { AccountCreation } from '../accounts/create-account.ts'
import type { RateLimiter } from '../rate-limits.ts'
import type { Auth } from '../sessions/auth.ts'
import type { SessionIssuer } from '../sessions/issue-session.ts'

/**
 * Signs somebody up with a new did:plc and a handle under this server's domains. Or takes in an account
 * that moves here: it keeps its DID, which it proves with a service token, and starts deactivated.
 */
export function createAccount(options: {
  readonly auth: Auth
  readonly create: AccountCreation
  readonly sessions: SessionIssuer
  readonly view: ViewSession
  readonly resolver: Pick<IdentityResolver, 'purge'>
  /** By address. */
  readonly limiter: RateLimiter
}): XrpcMethod {
  const { auth, create, sessions, view, resolver, limiter } = options
  return defineMethod(atproto, 'com.atproto.server.createAccount', {
    auth: auth.optionalService,
    async handler({ auth: provenDid, input, error, request, signal }) {
      limiter.consume(request.ip ?? 'unknown')
      if (input.plcOp !== undefined) {
        throw error(
          'InvalidRequest',
          'this server signs the first operation of new identities itself',
        )
      }
      if (input.did !== undefined && input.did !== provenDid) {
        throw new AuthRequiredError('Missing auth to create account with did', {
          headers: { 'www-authenticate': 'Bearer' },
        })
      }
      const account = await (input.did === undefined
        ? create.signUp(input)
        : create.moveIn(input.did, input, signal))
      resolver.purge(account.did)
      const tokens = sessions.start(account)
      const { did, handle, didDoc } = await view(account)
      return { did, handle, ...(didDoc === undefined ? {} : { didDoc }), ...tokens }
    },
  })
}
