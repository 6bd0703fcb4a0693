import { AuthRequiredError, defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { ViewSession } from '../accounts/account-view.ts'
import type { AccountStore } from '../accounts/account-store.ts'
import { MAX_PASSWORD } from '../accounts/create-account.ts'
import { verifyPassword } from '../accounts/password.ts'
import type { RateLimiter } from '../rate-limits.ts'
import type { AppPasswordStore } from '../sessions/app-password-store.ts'
import { refuseRemoved } from '../sessions/auth.ts'
import type { SessionIssuer } from '../sessions/issue-session.ts'

/** Characters of a name that tell callers apart: more only serves to fill memory. */
const MAX_NAME = 256

/** Signs in with handle, DID or e-mail and a password, the account's or an app's. Unknown names and wrong passwords look alike. */
export function createSession(options: {
  readonly accounts: AccountStore
  readonly appPasswords: AppPasswordStore
  readonly sessions: SessionIssuer
  readonly view: ViewSession
  /** By address and name. */
  readonly limiter: RateLimiter
}): XrpcMethod {
  const { accounts, appPasswords, sessions, view, limiter } = options
  return defineMethod(atproto, 'com.atproto.server.createSession', {
    async handler({ input, request }) {
      limiter.consume(
        `${request.ip ?? 'unknown'} ${input.identifier.slice(0, MAX_NAME).toLowerCase()}`,
      )
      const found = accounts.getByIdentifier(input.identifier)
      const account = found?.status === 'pending' ? undefined : found
      const hash = account === undefined ? undefined : accounts.getPasswordHash(account.did)
      const password = input.password.slice(0, MAX_PASSWORD + 1)
      const app = account && appPasswords.find(account.did, password)
      const isRight = app !== undefined || (await verifyPassword(password, hash))
      if (!isRight || account === undefined) {
        throw new AuthRequiredError('Invalid identifier or password')
      }
      const tokens = sessions.start(refuseRemoved(account), app)
      return { ...tokens, ...(await view(account)) }
    },
  })
}
