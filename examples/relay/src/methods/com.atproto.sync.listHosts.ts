import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import { relayLexicons } from '../lexicons.ts'
import { toHostView } from '../host-view.ts'
import type { PublicLists } from '../public-lists.ts'

/** Every host the relay knows, whatever its status; the one known longest first. */
export function listHosts({ lists }: { readonly lists: PublicLists }): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.listHosts', {
    handler: ({ params }) => {
      const { items, cursor } = lists.listHosts(params)
      return { hosts: items.map(toHostView), ...(cursor === undefined ? {} : { cursor }) }
    },
  })
}
