import type { XrpcMethod } from '@skywright/xrpc'
import { accountPage } from '../account-page.ts'
import { createActorSearch } from '../actor-search.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import type { BlobUrls } from '../images/url.ts'

/** Accounts by handle prefix, then by words of their profiles. */
export function searchActors({
  index,
  urls,
  query,
}: {
  readonly index: AppIndex
  readonly urls: BlobUrls
  readonly query: AppQuery
}): XrpcMethod {
  return query.open('app.bsky.actor.searchActors', async ({ params, caller }) => {
    const { entries, cursor } = await accountPage(index, urls, caller, {
      page: params,
      read: createActorSearch(index, params.q ?? params.term ?? ''),
      didOf: (row) => row.did,
    })
    return {
      actors: entries.map(({ account }) => account),
      ...(cursor === undefined ? {} : { cursor }),
    }
  })
}
