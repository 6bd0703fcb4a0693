import { authorityOf, parseRecordUri } from '../at-uri.ts'
import type { AppIndex, PostRow } from '../collections.ts'
import { hydrateActors } from './actors.ts'
import { type Hydration, pairKey } from './hydration.ts'
import { hydrateLabels } from './labels.ts'
import { batches, readAll } from './read-all.ts'

/** A post shows the post it quotes, and that one shows which post it quotes. */
const QUOTE_DEPTH = 2
const REACTIONS = {
  like: { from: 'like', path: 'subject' },
  repost: { from: 'repost', path: 'subject' },
} as const

/** Which posts to load, and what around them. */
export interface HydratePostsOptions {
  /** At-uris of posts to read. Those already in the hydration or in `rows` are not read again. */
  readonly uris?: Iterable<string>
  /** Posts that were read already. */
  readonly rows?: readonly PostRow[]
  /** Load the parent and root of replies too, and their authors. @defaultValue false */
  readonly replyContext?: boolean
  /** More accounts to load with the authors. */
  readonly dids?: Iterable<string>
}

/**
 * Loads posts with all that their views show: quoted posts and feed generators, counts, authors,
 * viewer state, and the blocks between the accounts involved.
 */
export async function hydratePosts(
  index: AppIndex,
  hydration: Hydration,
  options: HydratePostsOptions,
): Promise<void> {
  const { uris = [], rows: given = [], replyContext = false, dids = [] } = options
  for (const row of given) hydration.posts.set(row.uri, row)
  let rows: readonly PostRow[] = [...given, ...(await loadPosts(index, hydration, uris))]
  if (replyContext) rows = [...rows, ...(await loadPosts(index, hydration, replyUris(rows)))]
  const generators = new Set<string>()
  let quoting = rows
  for (let depth = 0; depth < QUOTE_DEPTH; depth++) {
    const quotes: string[] = []
    for (const { quote } of quoting) {
      if (quote === undefined) continue
      const collection = parseRecordUri(quote)?.collection
      if (collection === 'app.bsky.feed.post') quotes.push(quote)
      if (collection === 'app.bsky.feed.generator') generators.add(quote)
    }
    quoting = await loadPosts(index, hydration, quotes)
    rows = [...rows, ...quoting]
  }
  const authors = new Set<string>(dids)
  for (const row of rows) {
    authors.add(row.did)
    for (const related of [row.quote, row.replyParent, row.replyRoot])
      if (related !== undefined) authors.add(authorityOf(related))
  }
  await Promise.all([
    hydrateGenerators(index, hydration, generators),
    hydrateActors(index, hydration, authors),
    hydrateLabels(index, hydration, rows),
    hydrateCounts(
      index,
      hydration,
      rows.map((row) => row.uri),
    ),
    hydrateReactions(
      index,
      hydration,
      rows.map((row) => row.uri),
    ),
    hydrateBlocks(index, hydration, authorPairs(rows)),
  ])
}

/** Loads counts of at-uris or DIDs. */
export async function hydrateCounts(
  index: AppIndex,
  hydration: Hydration,
  subjects: readonly string[],
): Promise<void> {
  const missing = subjects.filter((subject) => !hydration.counts.has(subject))
  for (const batch of batches(missing))
    for (const [subject, counts] of await index.counts(batch)) hydration.counts.set(subject, counts)
}

/** Loads feed generators with their creators, likes and the viewer's like. */
export async function hydrateGenerators(
  index: AppIndex,
  hydration: Hydration,
  uris: Iterable<string>,
): Promise<void> {
  for (const batch of batches(uris)) {
    const rows = await index.getMany('generator', batch)
    for (const [uri, row] of rows) hydration.generators.set(uri, row)
    await Promise.all([
      hydrateLabels(index, hydration, rows.values()),
      hydrateActors(
        index,
        hydration,
        [...rows.values()].map((row) => row.did),
      ),
      hydrateCounts(index, hydration, batch),
      hydrateReactions(index, hydration, batch),
    ])
  }
}

async function loadPosts(
  index: AppIndex,
  hydration: Hydration,
  uris: Iterable<string>,
): Promise<readonly PostRow[]> {
  const missing = new Set<string>()
  for (const uri of uris) if (!hydration.posts.has(uri)) missing.add(uri)
  const rows: PostRow[] = []
  for (const batch of batches(missing))
    for (const [uri, row] of await index.getMany('post', batch)) {
      hydration.posts.set(uri, row)
      rows.push(row)
    }
  return rows
}

function* replyUris(rows: readonly PostRow[]): Generator<string, void, void> {
  for (const row of rows) {
    if (row.replyParent !== undefined) yield row.replyParent
    if (row.replyRoot !== undefined) yield row.replyRoot
  }
}

/** The viewer's own likes and reposts of these records. */
async function hydrateReactions(
  index: AppIndex,
  hydration: Hydration,
  uris: readonly string[],
): Promise<void> {
  const { viewer } = hydration
  if (viewer === undefined) return
  for (const subject of batches(uris)) {
    for (const [uri, { like, repost }] of await index.relations(viewer, subject, REACTIONS)) {
      if (like !== undefined) hydration.likes.set(uri, like)
      if (repost !== undefined) hydration.reposts.set(uri, repost)
    }
  }
}

/** Authors whose posts answer or quote each other. */
function authorPairs(rows: readonly PostRow[]): ReadonlyMap<string, ReadonlySet<string>> {
  const pairs = new Map<string, Set<string>>()
  const add = (a: string, b: string): void => {
    if (a === b) return
    const others = pairs.get(a)
    if (others === undefined) pairs.set(a, new Set([b]))
    else others.add(b)
  }
  for (const row of rows)
    for (const related of [row.quote, row.replyParent, row.replyRoot])
      if (related !== undefined) {
        add(row.did, authorityOf(related))
        add(authorityOf(related), row.did)
      }
  return pairs
}

/** Loads blocks inside pairs of accounts, in both directions: `pairs` holds each pair both ways. */
async function hydrateBlocks(
  index: AppIndex,
  hydration: Hydration,
  pairs: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<void> {
  const everybody = [...pairs.keys()]
  // Blocks among the accounts of one page are few, so one superset read beats one read a pair.
  for (const did of batches(everybody))
    for (const subject of batches(everybody))
      for (const block of await readAll(index.select('block').where({ did, subject })))
        if (pairs.get(block.did)?.has(block.subject) === true)
          hydration.blockedPairs.add(pairKey(block.did, block.subject))
}
