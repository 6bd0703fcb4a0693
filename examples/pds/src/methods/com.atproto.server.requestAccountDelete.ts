import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { SendConfirmation } from '../accounts/send-confirmation.ts'
import type { Auth } from '../sessions/auth.ts'

/** Sends the owner the code that `deleteAccount` asks for. */
export function requestAccountDelete(options: {
  readonly auth: Auth
  readonly sendConfirmation: SendConfirmation
}): XrpcMethod {
  const { auth, sendConfirmation } = options
  return defineMethod(atproto, 'com.atproto.server.requestAccountDelete', {
    auth: auth.fullSession,
    handler({ auth: { account } }) {
      sendConfirmation(account, 'delete-account')
      return undefined
    },
  })
}
