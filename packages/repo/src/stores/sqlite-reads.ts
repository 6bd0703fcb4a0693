import type { DatabaseSync, StatementSync } from 'node:sqlite'

import type { Cid } from '../cid.ts'
import type {
  ListRecordsOptions,
  PageOptions,
  RecordKey,
  RepoHead,
  StoredNode,
  StoredRecord,
} from '../repo-store.ts'
import { headOf, integerOf, nodeOf, recordOf, textOf } from './sqlite-rows.ts'

const RECORD =
  'SELECT collection, rkey, cid, rev, bytes FROM repo_record WHERE repo = ? AND collection = ?'

/** How the tables know a repo. */
export interface RepoRow {
  /** The number its rows go by. */
  readonly repo: number
  /** The rev that rows with an empty one have. */
  readonly imported: string
}

/** The prepared reads of one connection. All of them are synchronous and single look-ups or index ranges. */
export class SqliteReads {
  private readonly repoStatement: StatementSync
  private readonly headStatement: StatementSync
  private readonly headsStatement: StatementSync
  private readonly nodeStatement: StatementSync
  private readonly recordStatement: StatementSync
  private readonly upStatement: StatementSync
  private readonly downStatement: StatementSync
  private readonly topStatement: StatementSync
  private readonly nextCollectionStatement: StatementSync
  private readonly countStatement: StatementSync
  private readonly blobsStatement: StatementSync
  private readonly blobReferencesStatement: StatementSync
  private readonly leftoversStatement: StatementSync

  constructor(database: DatabaseSync) {
    this.repoStatement = database.prepare('SELECT repo, imported FROM repo_head WHERE did = ?')
    this.headStatement = database.prepare(
      'SELECT did, rev, cid, data, bytes FROM repo_head WHERE did = ?',
    )
    this.headsStatement = database.prepare(
      'SELECT did, rev, cid, data, bytes FROM repo_head WHERE did > ? ORDER BY did LIMIT ?',
    )
    this.nodeStatement = database.prepare(
      'SELECT rev, bytes FROM repo_node WHERE repo = ? AND cid = ?',
    )
    this.recordStatement = database.prepare(`${RECORD} AND rkey = ?`)
    this.upStatement = database.prepare(`${RECORD} AND rkey > ? ORDER BY rkey LIMIT ?`)
    this.downStatement = database.prepare(`${RECORD} AND rkey < ? ORDER BY rkey DESC LIMIT ?`)
    this.topStatement = database.prepare(`${RECORD} ORDER BY rkey DESC LIMIT ?`)
    this.nextCollectionStatement = database.prepare(
      'SELECT collection FROM repo_record WHERE repo = ? AND collection > ? ORDER BY collection LIMIT 1',
    )
    this.countStatement = database.prepare('SELECT COUNT(*) AS n FROM repo_record WHERE repo = ?')
    this.blobsStatement = database.prepare(
      `SELECT DISTINCT blob FROM repo_blob
       WHERE repo = ? AND blob > ? AND CASE rev WHEN '' THEN ? ELSE rev END > ? ORDER BY blob LIMIT ?`,
    )
    this.blobReferencesStatement = database.prepare(
      'SELECT collection, rkey FROM repo_blob WHERE repo = ? AND blob = ? ORDER BY collection, rkey',
    )
    this.leftoversStatement = database.prepare('SELECT 1 FROM repo_stage WHERE touched < ? LIMIT 1')
  }

  /** Tells whether there are rows that belong to no repo: replaced ones, and stages last touched before `abandoned`. */
  hasLeftovers(abandoned: number): boolean {
    return this.leftoversStatement.get(abandoned) !== undefined
  }

  /** Gives how the tables know a repo. */
  repo(did: string): RepoRow | undefined {
    const row = this.repoStatement.get(did)
    if (row === undefined) return undefined
    return { repo: integerOf(row, 'repo'), imported: textOf(row, 'imported') }
  }

  head(did: string): RepoHead | undefined {
    const row = this.headStatement.get(did)
    return row === undefined ? undefined : headOf(row)
  }

  heads({ limit = 500, cursor = '' }: PageOptions): readonly RepoHead[] {
    return this.headsStatement.all(cursor, limit).map(headOf)
  }

  nodes(did: string, cids: readonly Cid[]): readonly (StoredNode | undefined)[] {
    const known = this.repo(did)
    if (known === undefined) return cids.map(() => undefined)
    const { repo, imported } = known
    return cids.map((cid) => {
      const row = this.nodeStatement.get(repo, cid.bytes)
      return row === undefined ? undefined : nodeOf(row, imported)
    })
  }

  records(did: string, keys: readonly RecordKey[]): readonly (StoredRecord | undefined)[] {
    const known = this.repo(did)
    if (known === undefined) return keys.map(() => undefined)
    const { repo, imported } = known
    return keys.map(({ collection, rkey }) => {
      const row = this.recordStatement.get(repo, collection, rkey)
      return row === undefined ? undefined : recordOf(row, imported)
    })
  }

  list(did: string, collection: string, options: ListRecordsOptions): readonly StoredRecord[] {
    const { limit = 50, cursor, reverse = false } = options
    const known = this.repo(did)
    if (known === undefined) return []
    const { repo, imported } = known
    const rows = !reverse
      ? this.upStatement.all(repo, collection, cursor ?? '', limit)
      : cursor === undefined
        ? this.topStatement.all(repo, collection, limit)
        : this.downStatement.all(repo, collection, cursor, limit)
    return rows.map((row) => recordOf(row, imported))
  }

  /** One index seek for each collection, however many records there are. */
  collections(did: string): readonly string[] {
    const known = this.repo(did)
    const found: string[] = []
    if (known === undefined) return found
    for (let last = ''; ;) {
      const row = this.nextCollectionStatement.get(known.repo, last)
      if (row === undefined) return found
      last = textOf(row, 'collection')
      found.push(last)
    }
  }

  count(did: string): number {
    const known = this.repo(did)
    const row = known === undefined ? undefined : this.countStatement.get(known.repo)
    return row === undefined ? 0 : integerOf(row, 'n')
  }

  blobs(did: string, options: PageOptions & { readonly since?: string }): readonly string[] {
    const { limit = 500, cursor = '', since = '' } = options
    const known = this.repo(did)
    if (known === undefined) return []
    const { repo, imported } = known
    return this.blobsStatement
      .all(repo, cursor, imported, since, limit)
      .map((row) => textOf(row, 'blob'))
  }

  blobReferences(did: string, blob: Cid): readonly RecordKey[] {
    const known = this.repo(did)
    if (known === undefined) return []
    return this.blobReferencesStatement.all(known.repo, blob.toString()).map((row) => ({
      collection: textOf(row, 'collection'),
      rkey: textOf(row, 'rkey'),
    }))
  }
}
