import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'

/** Says what kind of server this is. Relays accept a host only if this answers. */
export function describeServer(options: {
  readonly serviceDid: string
  readonly handleDomains: readonly string[]
  readonly inviteCodeRequired: boolean
}): XrpcMethod {
  const { serviceDid, handleDomains, inviteCodeRequired } = options
  return defineMethod(atproto, 'com.atproto.server.describeServer', {
    handler: () => ({
      did: serviceDid,
      availableUserDomains: handleDomains,
      inviteCodeRequired,
      phoneVerificationRequired: false,
      links: {},
      contact: {},
    }),
  })
}
