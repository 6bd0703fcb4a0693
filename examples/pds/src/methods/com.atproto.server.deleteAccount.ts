import { AuthRequiredError, defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import type { ConfirmationStore } from '../accounts/confirmation-store.ts'
import { MAX_PASSWORD } from '../accounts/create-account.ts'
import { verifyPassword } from '../accounts/password.ts'
import { removeAccount, type ForgetAccount } from '../accounts/remove-account.ts'
import { requireConfirmation } from '../accounts/send-confirmation.ts'
import type { RateLimiter } from '../rate-limits.ts'
import type { RepoHost } from '../repos/repo-host.ts'

/** Deletes an account for good. It takes the password and the code that `requestAccountDelete` sent, not a session. */
export function deleteAccount(options: {
  readonly accounts: AccountStore
  readonly repos: RepoHost
  readonly confirmations: ConfirmationStore
  readonly forget: ForgetAccount
  /** By address and name, shared with signing in. */
  readonly limiter: RateLimiter
  readonly now: () => number
}): XrpcMethod {
  const { accounts, repos, confirmations, forget, limiter, now } = options
  return defineMethod(atproto, 'com.atproto.server.deleteAccount', {
    async handler({ input: { did, password, token }, request }) {
      limiter.consume(`${request.ip ?? 'unknown'} ${did}`)
      const found = accounts.getByDid(did)
      const account = found?.status === 'pending' ? undefined : found
      const hash = account === undefined ? undefined : accounts.getPasswordHash(did)
      const isRight = await verifyPassword(password.slice(0, MAX_PASSWORD + 1), hash)
      if (!isRight || account === undefined) throw new AuthRequiredError('Invalid did or password')
      requireConfirmation(confirmations, did, 'delete-account', token, now())
      await removeAccount(account, { accounts, repos, forget })
      return undefined
    },
  })
}
