import { InvalidQueryError } from '@skywright/appview-indexer'
import { InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import { fillPage } from '../fill-page.ts'
import { createHydration, isBlocked } from '../hydration/hydration.ts'
import { hydratePosts } from '../hydration/posts.ts'
import type { BlobUrls } from '../images/url.ts'
import { parsePostQuery } from '../post-query.ts'
import { searchTerm } from '../search-terms.ts'
import { postView } from '../views/post.ts'

/** Posts that contain every word of a query and fit its filters, newest first. */
export function searchPosts({
  index,
  urls,
  actors,
  query,
}: {
  readonly index: AppIndex
  readonly urls: BlobUrls
  readonly actors: ActorLookup
  readonly query: AppQuery
}): XrpcMethod {
  return query.open('app.bsky.feed.searchPosts', async ({ params, viewer, caller }) => {
    const wanted = parsePostQuery(params.q, params)
    const author = wanted.author === 'me' && viewer !== undefined ? viewer : wanted.author
    if (wanted.words.length + wanted.mentions.length === 0 && author === undefined)
      throw badQuery('the query names nothing to search for')
    const did = author === undefined ? undefined : await actors.did(author)
    const mentioned = await Promise.all(wanted.mentions.map((name) => actors.did(name)))
    // Somebody who does not exist wrote nothing and is mentioned nowhere.
    if ((author !== undefined && did === undefined) || mentioned.includes(undefined))
      return { posts: [] }
    const terms = mentioned.map((mention) => searchTerm('mention', mention ?? ''))
    const words = [...wanted.words, ...terms].join(' ')
    let posts = index.select('post')
    if (words !== '') posts = posts.search(words)
    if (did !== undefined) posts = posts.where({ did })
    if (wanted.since !== undefined) posts = posts.where('sortAt', '>=', parseTime(wanted.since))
    if (wanted.until !== undefined) posts = posts.where('sortAt', '<', parseTime(wanted.until))
    try {
      const { items, cursor } = await fillPage(
        params,
        (page) => posts.page(page),
        async (rows) => {
          const hydration = createHydration(caller)
          await hydratePosts(index, hydration, { rows })
          return rows.flatMap((row) =>
            isBlocked(hydration, row.did) ? [] : (postView(hydration, urls, row.uri) ?? []),
          )
        },
      )
      return { posts: [...items], ...(cursor === undefined ? {} : { cursor }) }
    } catch (error) {
      if (error instanceof InvalidQueryError) throw badQuery('the query cannot be read', error)
      throw error
    }
  })
}

/** A datetime, or a date, which starts at midnight UTC. */
function parseTime(text: string): number {
  const millis = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(millis)) throw badQuery('since and until are dates or datetimes')
  return millis
}

function badQuery(message: string, cause?: unknown): InvalidRequestError {
  return new InvalidRequestError(message, { error: 'BadQueryString', cause })
}
