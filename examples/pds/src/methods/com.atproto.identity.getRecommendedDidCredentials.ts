import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { recommendCredentials } from '../accounts/check-identity.ts'
import type { Auth } from '../sessions/auth.ts'

/** Tells the owner what the account's DID document should say for the account to live here. */
export function getRecommendedDidCredentials(options: {
  readonly auth: Auth
  /** did:key of this server's rotation key. */
  readonly rotationKey: string
  readonly publicUrl: string
}): XrpcMethod {
  const { auth, rotationKey, publicUrl } = options
  return defineMethod(atproto, 'com.atproto.identity.getRecommendedDidCredentials', {
    auth: auth.session,
    handler: ({ auth: { account } }) => recommendCredentials(account, { rotationKey, publicUrl }),
  })
}
