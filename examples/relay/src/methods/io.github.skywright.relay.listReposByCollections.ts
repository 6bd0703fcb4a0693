import { isPath } from '@skywright/repo'
import { defineMethod, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import type { CollectionIndex } from '../collection-index.ts'
import { parseDidCursor } from '../public-lists.ts'
import { relayLexicons } from '../lexicons.ts'

/** Repositories that hold records of any of several collections, named one by one or all below a name. */
export function listReposByCollections({
  collections,
}: {
  readonly collections: CollectionIndex
}): XrpcMethod {
  return defineMethod(relayLexicons, 'io.github.skywright.relay.listReposByCollections', {
    handler: ({ params }) => {
      for (const pattern of params.collections) {
        if (!isPattern(pattern)) {
          throw new InvalidRequestError(
            `a collection is an NSID, or at least two parts of one and .*, not ${pattern}`,
          )
        }
      }
      const position = parseDidCursor(params.cursor)
      const { items, cursor } = collections.listMatching(params.collections, params.limit, position)
      return {
        repos: items.map((did) => ({ did })),
        ...(cursor === undefined ? {} : { cursor }),
      }
    },
  })
}

function isPattern(text: string): boolean {
  const nsid = text.endsWith('.*') ? `${text.slice(0, -1)}x` : text
  return isPath(`${nsid}/self`)
}
