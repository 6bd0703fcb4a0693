import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { RateLimiter } from '../rate-limits.ts'
import type { Auth } from '../sessions/auth.ts'

/** Takes in a blob. It stays temporary, and unserved, until a record references it. */
export function uploadBlob(options: {
  readonly auth: Auth
  readonly blobs: BlobStore
  readonly maxBlobBytes: number
  /** By DID. */
  readonly limiter: RateLimiter
}): XrpcMethod {
  const { auth, blobs, maxBlobBytes, limiter } = options
  return defineMethod(atproto, 'com.atproto.repo.uploadBlob', {
    // Accounts that move in bring their blobs while they are still deactivated.
    // Services that prepare media (video) upload for the account, with a token it signed for this method.
    auth: auth.sessionOrService,
    maxInputBytes: maxBlobBytes,
    async handler({ auth: { account }, input, encoding, request, signal }) {
      limiter.consume(account.did)
      const length = request.headers.get('content-length')
      const compressed = request.headers.get('content-encoding') !== null
      const { cid, mimeType, size } = await blobs.upload({
        did: account.did,
        accountId: account.id,
        body: input,
        declaredType: encoding === '*/*' ? undefined : encoding,
        declaredBytes: length === null || compressed ? undefined : Number(length),
        signal,
      })
      return { blob: { $type: 'blob' as const, ref: cid, mimeType, size } }
    },
  })
}
