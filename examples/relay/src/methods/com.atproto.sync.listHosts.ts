import type { RelayStore } from '@skywright/firehose/relay'
import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'
import { toHostView } from '../host-view.ts'

/** Every host the relay knows, by name, whatever its status. */
export function listHosts({ store }: { readonly store: RelayStore }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.listHosts', {
    handler: ({ params: { limit, cursor } }) => {
      const page = store.listHosts({ limit, ...(cursor === undefined ? {} : { cursor }) })
      return {
        hosts: page.items.map(toHostView),
        ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
      }
    },
  })
}
