import { type AuthStep, defineMethod, type XrpcMethod } from '@skywright/xrpc'
import type { Admission } from '../admission.ts'
import { relayLexicons } from '../lexicons.ts'
import { callerOf } from '../rate-limit.ts'

/**
 * A host asks to be followed. Answers once the host was found alive and is being connected to. With the admin password
 * the limits on new hosts do not count.
 */
export function requestCrawl({
  admission,
  admin,
}: {
  readonly admission: Admission
  readonly admin: AuthStep<'admin'>
}): XrpcMethod {
  const optionalAdmin: AuthStep<'admin' | undefined> = (call) =>
    call.request.headers.get('authorization') === null ? undefined : admin(call)
  return defineMethod(relayLexicons, 'com.atproto.sync.requestCrawl', {
    auth: optionalAdmin,
    handler: async ({ input, request, auth }) => {
      const caller = auth ?? callerOf(request.ip)
      await admission.request(input.hostname, { caller, unlimited: auth === 'admin' })
      return undefined
    },
  })
}
