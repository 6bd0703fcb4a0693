import { IdentityError, type IdentityResolver } from '@skywright/identity'
import { defineMethod, UpstreamFailureError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { getLocalAccount } from '../accounts/local-account.ts'

/** Finds the DID behind a handle: accounts of this server first, then the network. */
export function resolveHandle(options: {
  readonly accounts: AccountStore
  readonly resolver: IdentityResolver
  readonly handleDomains: readonly string[]
}): XrpcMethod {
  const { accounts, resolver, handleDomains } = options
  return defineMethod(atproto, 'com.atproto.identity.resolveHandle', {
    async handler({ params, signal, error }) {
      const handle = params.handle.toLowerCase()
      const local = getLocalAccount(accounts, handle)
      if (local !== undefined) return { did: local.did }
      // Nobody else can answer for this server's own domains.
      if (handleDomains.some((domain) => handle.endsWith(domain))) {
        throw error('HandleNotFound', 'Unable to resolve handle')
      }
      try {
        return { did: (await resolver.resolveHandle(handle, { signal })).did }
      } catch (cause) {
        if (cause instanceof IdentityError && cause.retryable) {
          throw new UpstreamFailureError('the handle could not be looked up', { cause })
        }
        if (!(cause instanceof IdentityError)) throw cause
        throw error('HandleNotFound', 'Unable to resolve handle', { cause })
      }
    },
  })
}
