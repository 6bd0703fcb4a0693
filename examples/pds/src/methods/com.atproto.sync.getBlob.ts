import { defineMethod, reply, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AccountStore } from '../accounts/account-store.ts'
import { requireReadableRepo } from '../accounts/local-account.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import { isBlobReferenced } from '../repos/repo-facts.ts'
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
      const isServed = blob !== undefined && (await isBlobReferenced(repos.store, did, params.cid))
      const body = isServed ? await blobs.read(id, params.cid) : undefined
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
