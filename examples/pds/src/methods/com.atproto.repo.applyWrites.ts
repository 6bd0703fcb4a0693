import { MAX_COMMIT_OPS, type TidClock } from '@skywright/repo'
import { defineMethod, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import { requireOwnRepo } from '../accounts/local-account.ts'
import { literalKey } from '../repos/check-record.ts'
import { readSwap } from '../repos/read-swap.ts'
import type { WriteRecords, WriteRequest, WriteResult } from '../repos/write-records.ts'
import type { Auth } from '../sessions/auth.ts'

const NSID = 'com.atproto.repo.applyWrites'

/** Applies up to 200 writes as one commit, all or none. */
export function applyWrites(options: {
  readonly auth: Auth
  readonly write: WriteRecords
  readonly keys: TidClock
}): XrpcMethod {
  const { auth, write, keys } = options
  return defineMethod(atproto, NSID, {
    auth: auth.activeSession,
    async handler({ auth: session, input }) {
      const account = requireOwnRepo(session, input.repo)
      const { validate, swapCommit } = input
      if (input.writes.length > MAX_COMMIT_OPS) {
        throw new InvalidRequestError(`Too many writes. Max: ${MAX_COMMIT_OPS}`)
      }
      const requests = input.writes.map((item): WriteRequest => {
        const { collection } = item
        if (item.$type === `${NSID}#delete`) {
          return { action: 'delete', collection, rkey: item.rkey }
        }
        const record = item.value
        if (item.$type === `${NSID}#update`) {
          return { action: 'update', collection, rkey: item.rkey, record }
        }
        const rkey = item.rkey ?? literalKey(atproto, collection) ?? keys.next()
        return { action: 'create', collection, rkey, record }
      })
      const { commit, results } = await write(account, requests, {
        validate,
        swapCommit: readSwap(swapCommit),
      })
      return {
        ...(commit === undefined
          ? {}
          : { commit: { cid: commit.cid.toString(), rev: commit.rev } }),
        results: results.map((result, index) => viewResult(requests[index]?.action, result)),
      }
    },
  })
}

function viewResult(action: WriteRequest['action'] | undefined, result: WriteResult) {
  if (action === 'delete') return { $type: `${NSID}#deleteResult` as const }
  const { uri, cid = '', validationStatus } = result
  return {
    $type:
      action === 'create' ? (`${NSID}#createResult` as const) : (`${NSID}#updateResult` as const),
    uri,
    cid,
    ...(validationStatus === undefined ? {} : { validationStatus }),
  }
}
