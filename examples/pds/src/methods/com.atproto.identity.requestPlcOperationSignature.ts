import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { SendConfirmation } from '../accounts/send-confirmation.ts'
import type { Auth } from '../sessions/auth.ts'

/** Sends the owner the code that `signPlcOperation` asks for. */
export function requestPlcOperationSignature(options: {
  readonly auth: Auth
  readonly sendConfirmation: SendConfirmation
}): XrpcMethod {
  const { auth, sendConfirmation } = options
  return defineMethod(atproto, 'com.atproto.identity.requestPlcOperationSignature', {
    auth: auth.fullSession,
    handler({ auth: { account } }) {
      sendConfirmation(account, 'plc-operation')
      return undefined
    },
  })
}
