import type { Relay } from '@skywright/firehose/relay'
import { type AuthStep, defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'

/** The operator takes an account down here, or puts it back. The replay window is emptied of it at once. */
export function updateSubjectStatus({
  relay,
  admin,
}: {
  readonly relay: Relay
  readonly admin: AuthStep<'admin'>
}): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.admin.updateSubjectStatus', {
    auth: admin,
    handler: async ({ input: { subject, takedown, deactivated }, error }) => {
      if (subject.$type !== 'com.atproto.admin.defs#repoRef' || !('did' in subject)) {
        throw error('InvalidRequest', 'a relay takes down accounts only; subject must be a repoRef')
      }
      if (deactivated !== undefined) {
        throw error('InvalidRequest', 'deactivation is a matter of the host of an account')
      }
      const { did } = subject
      if (takedown !== undefined && !(await relay.setTakedown(did, takedown.applied))) {
        throw error('InvalidRequest', `${did} is not known here`)
      }
      const shown = { $type: 'com.atproto.admin.defs#repoRef' as const, did }
      return { subject: shown, ...(takedown === undefined ? {} : { takedown }) }
    },
  })
}
