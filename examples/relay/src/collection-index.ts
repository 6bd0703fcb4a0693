import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { CommitEvent, WireEvent } from '@skywright/firehose'
import { type Cid, findNeighbours } from '@skywright/repo'

/** An event of an account that is passed on. */
export interface CollectionChange {
  readonly did: string
  /** Absent for the relay's own. */
  readonly event: WireEvent | undefined
  /** Root of the tree, where a commit was proven with its operations. */
  readonly data: Cid | undefined
}

/** Which repositories hold records of which collections, as far as the stream has shown. */
export class CollectionIndex {
  readonly #select: StatementSync
  readonly #insert: StatementSync
  readonly #remove: StatementSync
  readonly #removeAll: StatementSync

  constructor(database: DatabaseSync) {
    this.#select = database.prepare(
      'SELECT did FROM relay_collection WHERE collection = ? AND did > ? ORDER BY did LIMIT ?',
    )
    this.#insert = database.prepare(
      'INSERT OR IGNORE INTO relay_collection (collection, did) VALUES (?, ?)',
    )
    this.#remove = database.prepare('DELETE FROM relay_collection WHERE collection = ? AND did = ?')
    this.#removeAll = database.prepare('DELETE FROM relay_collection WHERE did = ?')
  }

  /** Accounts in the order of their DIDs, after `cursor`. */
  list(collection: string, limit: number, cursor = ''): readonly string[] {
    return this.#select.all(collection, cursor, limit).map((row) => String(row['did']))
  }

  /** Takes collections that an account's host names. */
  add(did: string, collections: readonly string[]): void {
    for (const collection of collections) this.#insert.run(collection, did)
  }

  /** Takes what an event shows into the index, inside the open transaction. Only proven commits count. */
  apply({ did, event, data }: CollectionChange): void {
    if (event?.type === 'account' && event.status === 'deleted') this.#removeAll.run(did)
    if (event?.type !== 'commit' || data === undefined) return
    const { present, emptied } = shownCollections(event, data)
    for (const collection of present) this.#insert.run(collection, did)
    for (const collection of emptied) this.#remove.run(collection, did)
  }
}

/**
 * Which collections have a record after a commit, and which provably have none any more.
 *
 * A deleted record leaves a gap in the sorted tree. The records on both sides of the gap are in the commit's own proof,
 * and when neither is of the collection, the collection is empty.
 */
function shownCollections(
  { ops, blocks }: Pick<CommitEvent, 'ops' | 'blocks'>,
  data: Cid,
): { readonly present: ReadonlySet<string>; readonly emptied: ReadonlySet<string> } {
  const present = new Set<string>()
  const deleted: string[] = []
  for (const { action, path } of ops) {
    if (action === 'delete') deleted.push(path)
    else present.add(collectionOf(path))
  }
  const emptied = new Set<string>()
  if (deleted.length === 0) return { present, emptied }
  for (const { path, before, behind } of neighboursOf(blocks, data, deleted)) {
    const collection = collectionOf(path)
    const stillThere = [before, behind].some((other) => other?.startsWith(`${collection}/`))
    if (!stillThere) emptied.add(collection)
  }
  return { present, emptied }
}

/** A slice that should not reach as far as its proof did shows nothing; the index is not worth an event. */
function neighboursOf(
  ...slice: Parameters<typeof findNeighbours>
): ReturnType<typeof findNeighbours> {
  try {
    return findNeighbours(...slice)
  } catch {
    return []
  }
}

function collectionOf(path: string): string {
  return path.slice(0, path.indexOf('/'))
}
