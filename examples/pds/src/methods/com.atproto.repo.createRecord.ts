import type { TidClock } from '@skywright/repo'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { requireOwnRepo } from '../accounts/local-account.ts'
import { literalKey } from '../repos/check-record.ts'
import { readSwap } from '../repos/read-swap.ts'
import { viewCommit } from '../repos/view-commit.ts'
import type { WriteRecords } from '../repos/write-records.ts'
import type { Auth } from '../sessions/auth.ts'

/** Creates a record under a new TID, the key the lexicon dictates, or the key given. */
export function createRecord(options: {
  readonly auth: Auth
  readonly write: WriteRecords
  readonly keys: TidClock
}): XrpcMethod {
  const { auth, write, keys } = options
  return defineMethod(atproto, 'com.atproto.repo.createRecord', {
    auth: auth.activeSession,
    async handler({ auth: session, input }) {
      const account = requireOwnRepo(session, input.repo)
      const { collection, record, validate, swapCommit } = input
      const rkey = input.rkey ?? literalKey(atproto, collection) ?? keys.next()
      const { commit, results } = await write(
        account,
        [{ action: 'create', collection, rkey, record }],
        { validate, swapCommit: readSwap(swapCommit) },
      )
      return viewCommit(commit, results[0])
    },
  })
}
