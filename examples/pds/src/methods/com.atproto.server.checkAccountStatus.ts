import type { IdentityResolver } from '@skywright/identity'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { findIdentityProblem } from '../accounts/check-identity.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { PreferenceStore } from '../preferences.ts'
import { countBlobs, countBlocks } from '../repos/repo-facts.ts'
import type { RepoHost } from '../repos/repo-host.ts'
import type { Auth } from '../sessions/auth.ts'

/** Tells the owner how complete an account is, before and after moving it. */
export function checkAccountStatus(options: {
  readonly auth: Auth
  readonly repos: RepoHost
  readonly blobs: BlobStore
  readonly preferences: PreferenceStore
  readonly resolver: IdentityResolver
  readonly publicUrl: string
  /** Whether DID documents may name `http:` endpoints. */
  readonly allowHttp: boolean
}): XrpcMethod {
  const { auth, repos, blobs, preferences, resolver, publicUrl, allowHttp } = options
  return defineMethod(atproto, 'com.atproto.server.checkAccountStatus', {
    auth: auth.session,
    async handler({ auth: { account }, signal, error }) {
      const { did } = account
      const head = await repos.store.getHead(did)
      if (head === undefined) throw error('InvalidRequest', 'the account has no repo')
      const problem = await resolver.resolveDid(did, { signal }).then(
        ({ document }) => findIdentityProblem(account, document, { publicUrl, allowHttp }),
        () => 'the DID cannot be resolved',
      )
      return {
        activated: account.status === 'active',
        validDid: problem === undefined,
        repoCommit: head.commit.toString(),
        repoRev: head.rev,
        repoBlocks: await countBlocks(await repos.open(account)),
        indexedRecords: await repos.store.countRecords(did),
        privateStateValues: preferences.get(did).length,
        expectedBlobs: await countBlobs(repos.store, did),
        importedBlobs: blobs.count(did),
      }
    },
  })
}
