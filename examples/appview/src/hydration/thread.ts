import type { AppIndex, PostRow } from '../collections.ts'
import { type Hydration, isRecordVisible } from './hydration.ts'
import { hydratePosts } from './posts.ts'

/** Most replies in one answer, over all levels. */
export const MAX_THREAD_REPLIES = 1_000

/** The posts of a thread around one of them. */
export interface Thread {
  readonly anchor: PostRow
  /** At-uris from the parent of the anchor up; the last may not be indexed. */
  readonly ancestors: readonly string[]
  /** Replies by the at-uri of their parent, oldest first. */
  readonly replies: ReadonlyMap<string, readonly PostRow[]>
}

export interface LoadThreadOptions {
  /** The post in the middle. */
  readonly uri: string
  /** Levels of replies below it. */
  readonly depth: number
  /** Ancestors above it. */
  readonly parentHeight: number
}

/** Loads a thread and hydrates all of its posts; `undefined` when the anchor is not indexed or its author is hidden. */
export async function loadThread(
  index: AppIndex,
  hydration: Hydration,
  options: LoadThreadOptions,
): Promise<Thread | undefined> {
  const { uri, depth, parentHeight } = options
  const anchor = await index.get('post', uri)
  if (anchor === undefined) return undefined
  const { uris: ancestors, rows: above } = await loadAncestors(index, anchor, parentHeight)
  const replies = await loadReplies(index, anchor, depth)
  const below = [...replies.values()].flat()
  await hydratePosts(index, hydration, { rows: [anchor, ...above, ...below] })
  if (!isRecordVisible(hydration, anchor.uri, anchor.did)) return undefined
  return { anchor, ancestors, replies }
}

/** Goes up one post after the other: what a post answers is known only once it is read. */
async function loadAncestors(
  index: AppIndex,
  anchor: PostRow,
  height: number,
): Promise<{ readonly uris: readonly string[]; readonly rows: readonly PostRow[] }> {
  const uris: string[] = []
  const rows: PostRow[] = []
  const seen = new Set([anchor.uri])
  let parent = anchor.replyParent
  while (parent !== undefined && uris.length < height && !seen.has(parent)) {
    uris.push(parent)
    seen.add(parent)
    const row = await index.get('post', parent)
    if (row !== undefined) rows.push(row)
    parent = row?.replyParent
  }
  return { uris, rows }
}

/** Goes down one level a read. Replies that name another root are of another conversation. */
async function loadReplies(
  index: AppIndex,
  anchor: PostRow,
  depth: number,
): Promise<ReadonlyMap<string, readonly PostRow[]>> {
  const root = anchor.replyRoot ?? anchor.uri
  const replies = new Map<string, PostRow[]>()
  const seen = new Set([anchor.uri])
  let level: readonly string[] = [anchor.uri]
  for (let below = 0; below < depth && level.length > 0; below++) {
    const limit = MAX_THREAD_REPLIES - seen.size + 1
    if (limit <= 0) break
    const query = index.select('post').where({ replyParent: level, replyRoot: root })
    const { rows } = await query.orderBy('sortAt', 'asc').page({ limit })
    const fresh = rows.filter((row) => !seen.has(row.uri))
    for (const row of fresh) {
      seen.add(row.uri)
      const parent = row.replyParent ?? anchor.uri
      const siblings = replies.get(parent)
      if (siblings === undefined) replies.set(parent, [row])
      else siblings.push(row)
    }
    level = fresh.map((row) => row.uri)
  }
  return replies
}
