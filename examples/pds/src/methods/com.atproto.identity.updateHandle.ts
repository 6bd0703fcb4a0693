import { HandleNotFoundError, IdentityError, type IdentityResolver } from '@skywright/identity'
import type { SigningKey } from '@skywright/identity/keys'
import { updatePlcOperation, type PlcClient } from '@skywright/identity/plc'
import {
  defineMethod,
  InvalidRequestError,
  UpstreamFailureError,
  type XrpcMethod,
} from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { checkLocalHandle } from '../accounts/handle-policy.ts'
import { plcFailure } from '../accounts/plc-failure.ts'
import { requireLocalAccount } from '../accounts/local-account.ts'
import type { RateLimiter } from '../rate-limits.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/**
 * Gives an account another handle: one under this server's domains, or one of the owner's own that
 * already points at the account. The DID document changes first, then the account and its `#identity`
 * event together. Asking for the handle it has announces the identity anew.
 */
export function updateHandle(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly resolver: IdentityResolver
  readonly plc: PlcClient
  readonly rotationKey: SigningKey
  readonly handleDomains: readonly string[]
  /** By DID. */
  readonly limiter: RateLimiter
}): XrpcMethod {
  const { auth, accounts, repos, resolver, plc, rotationKey, handleDomains, limiter } = options

  async function check(handle: string, did: string, signal: AbortSignal): Promise<string> {
    const holder = accounts.getByHandle(handle)
    if (holder !== undefined && holder.did !== did) throw taken(handle)
    if (holder?.did === did) return handle
    if (handleDomains.some((domain) => handle.endsWith(domain))) {
      return checkLocalHandle(handle, handleDomains)
    }
    const found = await resolver
      .resolveHandle(handle, { signal, refresh: true })
      .catch((cause: unknown) => {
        if (cause instanceof IdentityError && !cause.retryable) return undefined
        throw new UpstreamFailureError('the handle could not be looked up', { cause })
      })
    if (found?.did === did) return handle
    throw new InvalidRequestError('External handle did not resolve to DID', {
      cause: new HandleNotFoundError(handle, 'handle-check'),
    })
  }

  async function change(did: string, handle: string, signal: AbortSignal): Promise<void> {
    if (did.startsWith('did:plc:')) {
      await plc
        .lastOperation(did, { signal })
        .then((last) => updatePlcOperation(last, { handle }, rotationKey))
        .then((operation) => plc.submit(did, operation, { signal }))
        .catch((cause: unknown) => {
          throw plcFailure(cause)
        })
    }
    repos.announce(
      () => {
        if (!accounts.setHandle(did, handle)) throw taken(handle)
        return requireLocalAccount(accounts, did)
      },
      { identity: true },
    )
  }

  return defineMethod(atproto, 'com.atproto.identity.updateHandle', {
    auth: auth.fullSession,
    async handler({ auth: { account }, input, signal }) {
      const { did } = account
      const wanted = input.handle.toLowerCase()
      limiter.consume(did)
      // Nobody else can take the handle between its check and the account's row, nor write meanwhile.
      await repos.exclusively(wanted, async () => {
        const handle = await check(wanted, did, signal)
        await repos.exclusively(did, () => change(did, handle, signal))
      })
      resolver.purge(did)
      return undefined
    },
  })
}

function taken(handle: string): InvalidRequestError {
  return new InvalidRequestError(`Handle already taken: ${handle}`, { error: 'HandleNotAvailable' })
}
