import { parseCid } from '@skywright/repo'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Lists blobs that the caller's records reference and that were never uploaded here, each with one such record. */
export function listMissingBlobs(options: {
  readonly auth: Auth
  readonly blobs: BlobStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, blobs, repos } = options
  return defineMethod(atproto, 'com.atproto.repo.listMissingBlobs', {
    auth: auth.session,
    async handler({ auth: { account }, params: { limit, cursor } }) {
      const { did } = account
      const missing: { cid: string; recordUri: string }[] = []
      let after = cursor
      while (missing.length < limit) {
        const page = await repos.store.listBlobs(did, {
          limit,
          ...(after === undefined ? {} : { cursor: after }),
        })
        for (const cid of page) {
          after = cid
          if (blobs.get(did, cid) !== undefined) continue
          const [record] = await repos.store.blobReferences(did, parseCid(cid))
          if (record === undefined) continue
          missing.push({ cid, recordUri: `at://${did}/${record.collection}/${record.rkey}` })
          if (missing.length === limit) break
        }
        if (page.length < limit) break
      }
      return {
        ...(missing.length < limit || after === undefined ? {} : { cursor: after }),
        blobs: missing,
      }
    },
  })
}
