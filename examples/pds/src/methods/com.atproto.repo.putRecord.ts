import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { requireOwnRepo } from '../accounts/local-account.ts'
import { readSwap } from '../repos/read-swap.ts'
import { viewCommit } from '../repos/view-commit.ts'
import type { WriteRecords } from '../repos/write-records.ts'
import type { Auth } from '../sessions/auth.ts'

/** Creates or replaces a record. The same content again makes no commit. */
export function putRecord(options: {
  readonly auth: Auth
  readonly write: WriteRecords
}): XrpcMethod {
  const { auth, write } = options
  return defineMethod(atproto, 'com.atproto.repo.putRecord', {
    auth: auth.activeSession,
    async handler({ auth: session, input }) {
      const account = requireOwnRepo(session, input.repo)
      const { collection, rkey, record, validate, swapCommit, swapRecord } = input
      const { commit, results } = await write(
        account,
        [
          {
            action: 'put',
            collection,
            rkey,
            record,
            swapRecord: swapRecord === null ? null : readSwap(swapRecord),
          },
        ],
        { validate, swapCommit: readSwap(swapCommit) },
      )
      return viewCommit(commit, results[0])
    },
  })
}
