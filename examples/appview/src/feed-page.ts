import type { TimelineRow } from '@skywright/appview-indexer'
import type { AppCollections, AppIndex, PostRow } from './collections.ts'
import { type Caller, createHydration, type Hydration } from './hydration/hydration.ts'
import { hydratePosts } from './hydration/posts.ts'
import type { FeedItem } from './views/feed.ts'

// `follow` is in the type because it is the edge that names the authors; no row is from it.
type FeedRow = TimelineRow<Pick<AppCollections, 'post' | 'repost' | 'follow'>>

/** The item of a feed that a post or a repost makes. */
export function feedItem(entry: FeedRow): FeedItem {
  return entry.from === 'repost'
    ? { uri: entry.row.subject, repost: entry.row }
    : { uri: entry.row.uri }
}

/** Loads all that the items of a feed show; `rows` are posts that were read already. */
export async function hydrateFeed(
  index: AppIndex,
  caller: Caller,
  items: readonly FeedItem[],
  rows: readonly PostRow[] = [],
): Promise<Hydration> {
  const hydration = createHydration(caller)
  const { viewer } = hydration
  const reposters = items.flatMap((item) => (item.repost === undefined ? [] : [item.repost.did]))
  await hydratePosts(index, hydration, {
    rows,
    uris: items.map((item) => item.uri),
    replyContext: true,
    dids: viewer === undefined ? reposters : [...reposters, viewer],
  })
  return hydration
}

/** The posts among the rows of a time line. */
export function postRows(entries: readonly FeedRow[]): readonly PostRow[] {
  return entries.flatMap((entry) => (entry.from === 'post' ? [entry.row] : []))
}
