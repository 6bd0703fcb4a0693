import { parseCid } from '@skywright/repo'
import { defineMethod, reply, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { requireReadableRepo } from '../accounts/local-account.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Serves a blob that a record references, in a way no browser will run. */
export function getBlob(options: {
  readonly auth: Auth
  readonly accounts: AccountStore
  readonly blobs: BlobStore
  readonly repos: RepoHost
}): XrpcMethod {
  const { auth, accounts, blobs, repos } = options
  return defineMethod(atproto, 'com.atproto.sync.getBlob', {
    auth: auth.optionalSession,
    async handler({ params, auth: session, error }) {
      const { did, id } = requireReadableRepo(accounts, params.did, session)
      const blob = blobs.get(did, params.cid)
      const references =
        blob === undefined ? [] : await repos.store.blobReferences(did, parseCid(params.cid))
      const body = references.length === 0 ? undefined : await blobs.read(id, params.cid)
      if (blob === undefined || body === undefined) throw error('BlobNotFound', 'Blob not found')
      return reply(body, {
        encoding: blob.mimeType,
        headers: {
          'content-length': String(blob.size),
          'content-disposition': `attachment; filename="${blob.cid}"`,
          'content-security-policy': "default-src 'none'; sandbox",
          'x-content-type-options': 'nosniff',
        },
      })
    },
  })
}
