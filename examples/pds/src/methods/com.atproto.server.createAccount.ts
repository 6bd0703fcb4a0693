import type { IdentityResolver } from '@skywright/identity'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { viewSession } from '../accounts/account-view.ts'
import type { CreateAccount } from '../accounts/create-account.ts'
import type { RateLimiter } from '../rate-limits.ts'
import type { SessionIssuer } from '../sessions/issue-session.ts'

/** Signs somebody up with a new did:plc and a handle under this server's domains. */
export function createAccount(options: {
  readonly create: CreateAccount
  readonly sessions: SessionIssuer
  readonly resolver: IdentityResolver
  /** By address. */
  readonly limiter: RateLimiter
}): XrpcMethod {
  const { create, sessions, resolver, limiter } = options
  return defineMethod(atproto, 'com.atproto.server.createAccount', {
    async handler({ input, error, request }) {
      limiter.consume(request.ip ?? 'unknown')
      if (input.did !== undefined || input.plcOp !== undefined) {
        throw error('UnresolvableDid', 'this server creates the identities of its accounts itself')
      }
      const account = await create(input)
      resolver.purge(account.did)
      const tokens = sessions.start(account)
      const { did, handle, didDoc } = await viewSession(account, resolver)
      return { did, handle, ...(didDoc === undefined ? {} : { didDoc }), ...tokens }
    },
  })
}
