import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { createCollectionMatcher, type CommitEvent, type WireEvent } from '@skywright/firehose'
import { type Cid, findNeighbours } from '@skywright/repo'
import { type MergedPage, mergeSorted } from './merge-sorted.ts'

/** Collections of one account that are kept: an account that writes to more of them is found by these only. */
export const MAX_COLLECTIONS_PER_ACCOUNT = 1_000
/** Collections under the patterns of one question up to which their lists are merged. */
const MAX_MERGED_LISTS = 500
/** Rows read for one page where more collections match. More than one account may have. */
const MAX_SCANNED_ROWS = 20_000

const NOT_TAKEN_DOWN = 'did NOT IN (SELECT did FROM relay_account WHERE local_status IS NOT NULL)'

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
  readonly #nextName: StatementSync
  readonly #scan: StatementSync
  readonly #insert: StatementSync
  readonly #count: StatementSync
  readonly #remove: StatementSync
  readonly #removeAll: StatementSync

  constructor(database: DatabaseSync) {
    this.#select = database.prepare(
      `SELECT did FROM relay_collection WHERE collection = ? AND did > ? AND ${NOT_TAKEN_DOWN}
       ORDER BY did LIMIT ?`,
    )
    this.#nextName = database.prepare(
      `SELECT collection FROM relay_collection WHERE collection > ? AND collection < ?
       ORDER BY collection LIMIT 1`,
    )
    this.#scan = database.prepare(
      `SELECT did, collection FROM relay_collection WHERE did > ? AND ${NOT_TAKEN_DOWN}
       ORDER BY did LIMIT ?`,
    )
    this.#insert = database.prepare(
      'INSERT OR IGNORE INTO relay_collection (collection, did) VALUES (?, ?)',
    )
    this.#count = database.prepare('SELECT count(*) AS n FROM relay_collection WHERE did = ?')
    this.#remove = database.prepare('DELETE FROM relay_collection WHERE collection = ? AND did = ?')
    this.#removeAll = database.prepare('DELETE FROM relay_collection WHERE did = ?')
  }

  /** Accounts in the order of their DIDs, after `cursor`; without those that the operator took down. */
  list(collection: string, limit: number, cursor = ''): readonly string[] {
    return this.#select.all(collection, cursor, limit).map((row) => String(row['did']))
  }

  /**
   * Accounts with records in any collection that one of the patterns matches: NSIDs, or `prefix.*`. In the order of their
   * DIDs, each once. A page may be short, even empty; the end is where no cursor comes back.
   */
  listMatching(patterns: readonly string[], limit: number, cursor = ''): MergedPage {
    const names = this.#namesMatching(patterns)
    return names === undefined
      ? this.#scanFor(patterns, limit, cursor)
      : mergeSorted(
          names.map((name) => (after, count) => this.list(name, count, after)),
          { limit, after: cursor },
        )
  }

  /** Takes collections that an account has. */
  add(did: string, collections: Iterable<string>): void {
    const added: string[] = []
    for (const collection of collections) {
      if (this.#insert.run(collection, did).changes > 0) added.push(collection)
    }
    if (added.length === 0) return
    const excess = Number(this.#count.get(did)?.['n']) - MAX_COLLECTIONS_PER_ACCOUNT
    for (const collection of added.slice(added.length - Math.max(0, excess))) {
      this.#remove.run(collection, did)
    }
  }

  /** Takes what an event shows into the index, inside the open transaction. Only proven commits count. */
  apply({ did, event, data }: CollectionChange): void {
    if (event?.type === 'account' && event.status === 'deleted') this.#removeAll.run(did)
    if (event?.type !== 'commit' || data === undefined) return
    const { present, emptied } = shownCollections(event, data)
    for (const collection of emptied) this.#remove.run(collection, did)
    this.add(did, present)
  }

  /** Collections in the index that match, or `undefined` when they are too many to be merged. */
  #namesMatching(patterns: readonly string[]): readonly string[] | undefined {
    const names = new Set<string>()
    for (const pattern of patterns) {
      if (!pattern.endsWith('.*')) names.add(pattern)
      else {
        const prefix = pattern.slice(0, -1)
        // Behind everything that begins with the prefix: `/` comes after `.`.
        const end = `${pattern.slice(0, -2)}/`
        for (let name = this.#next(prefix, end); name !== undefined; name = this.#next(name, end)) {
          names.add(name)
          if (names.size > MAX_MERGED_LISTS) return undefined
        }
      }
    }
    return [...names]
  }

  #next(after: string, end: string): string | undefined {
    const name = this.#nextName.get(after, end)?.['collection']
    return name === undefined ? undefined : String(name)
  }

  /** Goes through accounts one by one: where so many collections match, most accounts do. */
  #scanFor(patterns: readonly string[], limit: number, cursor: string): MergedPage {
    const matches = createCollectionMatcher(patterns)
    const rows = this.#scan.all(cursor, MAX_SCANNED_ROWS)
    const found = new Set<string>()
    let before = ''
    let last = ''
    for (const row of rows) {
      const did = String(row['did'])
      if (did !== last) {
        if (found.size === limit) return { items: [...found], cursor: last }
        before = last
        last = did
      }
      if (matches(String(row['collection']))) found.add(did)
    }
    if (rows.length < MAX_SCANNED_ROWS) return { items: [...found], cursor: undefined }
    // The last account was perhaps not read to its end.
    found.delete(last)
    return { items: [...found], cursor: before }
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
