import { RepoError } from '@skywright/repo'
import { defineMethod, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Largest repo taken in, bytes; it is verified in memory. */
const MAX_IMPORT_BYTES = 256 * 1024 * 1024

/**
 * Replaces the repo of a deactivated account by a CAR from the server it moves from. The whole CAR is
 * verified, then signed anew with the account's key here. Doing it again is fine.
 */
export function importRepo(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, accounts, repos } = options
  return defineMethod(atproto, 'com.atproto.repo.importRepo', {
    auth: auth.fullSession,
    maxInputBytes: MAX_IMPORT_BYTES,
    async handler({ auth: { account }, input, request, signal }) {
      if (request.headers.get('content-length') === null) {
        throw new InvalidRequestError('Content-Length is required')
      }
      await repos.exclusively(account.did, async () => {
        // Asked here, not before: the account may have been activated while this import waited.
        if (accounts.getByDid(account.did)?.status !== 'deactivated') {
          throw new InvalidRequestError('only the repo of a deactivated account can be replaced')
        }
        await repos
          .importCar(account, input, { maxBytes: MAX_IMPORT_BYTES, signal })
          .catch((cause: unknown) => {
            if (!(cause instanceof RepoError)) throw cause
            throw new InvalidRequestError(`the CAR cannot be imported: ${cause.message}`, { cause })
          })
      })
      return undefined
    },
  })
}
