import type { IdentityResolver } from '@skywright/identity'
import { parsePlcOperation, type AnyPlcOperation, type PlcClient } from '@skywright/identity/plc'
import { defineMethod, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { Account, AccountStore } from '../accounts/account-store.ts'
import { recommendCredentials } from '../accounts/check-identity.ts'
import { requireLocalAccount } from '../accounts/local-account.ts'
import { plcFailure } from '../accounts/plc-failure.ts'
import type { RateLimiter } from '../rate-limits.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/**
 * Enters a signed operation into the PLC directory, for an account that arrives: it must make the identity point
 * here, so that nobody locks themselves out, and is announced as `#identity`.
 */
export function submitPlcOperation(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly plc: Pick<PlcClient, 'submit'>
  readonly resolver: Pick<IdentityResolver, 'purge'>
  /** did:key of this server's rotation key. */
  readonly rotationKey: string
  readonly publicUrl: string
  /** By DID. */
  readonly limiter: RateLimiter
}): XrpcMethod {
  const { auth, accounts, repos, plc, resolver, rotationKey, publicUrl, limiter } = options
  return defineMethod(atproto, 'com.atproto.identity.submitPlcOperation', {
    auth: auth.fullSession,
    async handler({ auth: { account }, input, signal }) {
      const { did } = account
      limiter.consume(did)
      const operation = readOperation(input.operation)
      const problem = findProblem(operation, account, { rotationKey, publicUrl })
      if (problem !== undefined) throw new InvalidRequestError(problem)
      await repos.exclusively(did, async () => {
        await plc.submit(did, operation, { signal }).catch((cause: unknown) => {
          throw plcFailure(cause)
        })
        resolver.purge(did)
        // An account that is not active yet announces itself when it becomes so.
        if (accounts.getByDid(did)?.status !== 'active') return
        repos.announce(() => requireLocalAccount(accounts, did), { identity: true })
      })
      return undefined
    },
  })
}

function readOperation(value: unknown): AnyPlcOperation {
  try {
    return parsePlcOperation(value)
  } catch (cause) {
    throw plcFailure(cause)
  }
}

/** What would keep the account from working here after the operation; `undefined` when nothing. */
function findProblem(
  operation: AnyPlcOperation,
  account: Account,
  options: { readonly rotationKey: string; readonly publicUrl: string },
): string | undefined {
  if (operation.type !== 'plc_operation') return 'only a plc_operation can be submitted here'
  const wanted = recommendCredentials(account, options)
  const { services, verificationMethods } = wanted
  const pds = operation.services['atproto_pds']
  if (!operation.rotationKeys.includes(options.rotationKey)) {
    return "Rotation keys do not include server's rotation key"
  }
  if (pds?.type !== services.atproto_pds.type) return 'Incorrect type on atproto_pds service'
  if (pds.endpoint !== services.atproto_pds.endpoint) {
    return 'Incorrect endpoint on atproto_pds service'
  }
  if (operation.verificationMethods['atproto'] !== verificationMethods.atproto) {
    return 'Incorrect signing key'
  }
  return operation.alsoKnownAs[0] === wanted.alsoKnownAs[0]
    ? undefined
    : 'Incorrect handle in alsoKnownAs'
}
