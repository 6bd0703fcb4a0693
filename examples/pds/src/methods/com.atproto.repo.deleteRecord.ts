import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { requireOwnRepo } from '../accounts/local-account.ts'
import { readSwap } from '../repos/read-swap.ts'
import type { WriteRecords } from '../repos/write-records.ts'
import type { Auth } from '../sessions/auth.ts'

/** Deletes a record. One that is not there is no error, and no commit. */
export function deleteRecord(options: {
  readonly auth: Auth
  readonly write: WriteRecords
}): XrpcMethod {
  const { auth, write } = options
  return defineMethod(atproto, 'com.atproto.repo.deleteRecord', {
    auth: auth.activeSession,
    async handler({ auth: session, input }) {
      const account = requireOwnRepo(session, input.repo)
      const { collection, rkey, swapCommit, swapRecord } = input
      const { commit } = await write(
        account,
        [
          {
            action: 'delete',
            collection,
            rkey,
            swapRecord: readSwap(swapRecord),
          },
        ],
        { swapCommit: readSwap(swapCommit) },
      )
      if (commit === undefined) return {}
      return { commit: { cid: commit.cid.toString(), rev: commit.rev } }
    },
  })
}
