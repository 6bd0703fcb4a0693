import type { RelayStore } from '@skywright/firehose/relay'
import { type AuthStep, defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'

/** Whether the operator took an account down. */
export function getSubjectStatus({
  store,
  admin,
}: {
  readonly store: RelayStore
  readonly admin: AuthStep<'admin'>
}): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.admin.getSubjectStatus', {
    auth: admin,
    handler: ({ params: { did }, error }) => {
      const account = did === undefined ? undefined : store.getAccount(did)
      if (account === undefined)
        throw error('InvalidRequest', 'did must name an account known here')
      return {
        subject: { $type: 'com.atproto.admin.defs#repoRef' as const, did: account.did },
        takedown: { applied: account.localStatus === 'takendown' },
      }
    },
  })
}
