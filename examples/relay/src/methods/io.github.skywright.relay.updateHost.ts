import type { Relay } from '@skywright/firehose/relay'
import { type AuthStep, defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'

/** The operator bans a host or lifts the ban, chooses its mode, or sets its account limit. */
export function updateHost({
  relay,
  admin,
  onLimitSet,
}: {
  readonly relay: Relay
  readonly admin: AuthStep<'admin'>
  /** A limit that an operator set does not grow by itself any more. */
  readonly onLimitSet: (hostname: string) => void
}): XrpcMethod {
  return defineMethod(relayLexicons, 'io.github.skywright.relay.updateHost', {
    auth: admin,
    handler: async ({ input, error }) => {
      const { banned, enforcement, accountLimit } = input
      const hostname = input.hostname.toLowerCase()
      const host = await relay.updateHost(hostname, { banned, enforcement, accountLimit })
      if (host === undefined) throw error('HostNotFound', `${hostname} is not followed here`)
      if (accountLimit !== undefined) onLimitSet(hostname)
      return {
        hostname,
        status: host.status,
        enforcement: host.enforcement,
        accountLimit: host.accountLimit,
      }
    },
  })
}
