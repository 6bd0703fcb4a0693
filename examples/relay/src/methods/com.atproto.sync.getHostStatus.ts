import type { RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { toHostView } from '../host-view.ts'
import { relayLexicons } from '../lexicons.ts'

/** One host: where the relay stands in its stream, how many accounts it brought, and whether it is followed. */
export function getHostStatus({ store }: { readonly store: RelayStore }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.getHostStatus', {
    handler: ({ params: { hostname }, error }) => {
      const host = store.getHost(hostname.toLowerCase())
      if (host === undefined) throw error('HostNotFound', `${hostname} is not followed here`)
      return toHostView(host)
    },
  })
}
