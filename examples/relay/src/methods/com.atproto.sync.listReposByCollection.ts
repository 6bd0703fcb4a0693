import { defineMethod, type XrpcMethod } from '@skywright/xrpc'
import type { CollectionIndex } from '../collection-index.ts'
import { parseDidCursor } from '../public-lists.ts'
import { relayLexicons } from '../lexicons.ts'

/** Repositories that were seen to hold records of a collection and not seen to lose the last one. */
export function listReposByCollection({
  collections,
}: {
  readonly collections: CollectionIndex
}): XrpcMethod {
  return defineMethod(relayLexicons, 'com.atproto.sync.listReposByCollection', {
    handler: ({ params: { collection, limit, cursor } }) => {
      const dids = collections.list(collection, limit, parseDidCursor(cursor))
      const last = dids.at(-1)
      return {
        repos: dids.map((did) => ({ did })),
        ...(dids.length < limit || last === undefined ? {} : { cursor: last }),
      }
    },
  })
}
