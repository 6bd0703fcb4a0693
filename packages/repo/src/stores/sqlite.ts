/**
 * Repositories in SQLite, through `node:sqlite`.
 *
 * *Guarantees*: a commit and its events are one transaction, durable (with `synchronous=FULL`, the default of a database this
 * store opens) when the promise resolves. Commits that arrive together share one transaction and so one fsync.
 *
 * All tables are prefixed `repo_`; the database may hold others, and other users of the same connection, as long as they
 * leave no transaction open across an `await`.
 *
 * @packageDocumentation
 */
import { DatabaseSync } from 'node:sqlite'

import type { Cid } from '../cid.ts'
import type {
  EventEncoder,
  EventSink,
  ListRecordsOptions,
  PageOptions,
  RecordKey,
  RepoChange,
  RepoHead,
  RepoSnapshot,
  RepoStore,
  StoredNode,
  StoredRecord,
} from '../repo-store.ts'
import { GroupCommit } from './group-commit.ts'
import { SqliteReads } from './sqlite-reads.ts'
import { createTables } from './sqlite-schema.ts'
import { copySnapshot, openFileSnapshot } from './sqlite-snapshot.ts'
import { SqliteWrites } from './sqlite-writes.ts'

/** Options of {@link openSqliteRepoStore}. */
export interface SqliteRepoStoreOptions {
  /**
   * A connection, which stays the caller's to configure and close, or the path of a file (`:memory:` for none), which the
   * store opens in WAL mode with `synchronous=FULL` and closes itself.
   */
  readonly database: DatabaseSync | string
  /** Where events of commits go; it must write through the same connection to share the transaction. @defaultValue none: a change with events is refused */
  readonly events?: EventSink
}

/** Opens a store. Tables are created where they are absent. */
export function openSqliteRepoStore(options: SqliteRepoStoreOptions): RepoStore {
  const { database, events } = options
  if (typeof database !== 'string') return new SqliteRepoStore(database, undefined, events)
  const opened = new DatabaseSync(database)
  try {
    opened.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000')
    return new SqliteRepoStore(opened, database, events)
  } catch (error) {
    opened.close()
    throw error
  }
}

class SqliteRepoStore implements RepoStore {
  private readonly database: DatabaseSync
  private readonly owned: boolean
  private readonly file: string | undefined
  private readonly reads: SqliteReads
  private readonly writes: SqliteWrites
  private readonly group: GroupCommit

  constructor(database: DatabaseSync, opened: string | undefined, events: EventSink | undefined) {
    createTables(database)
    this.database = database
    this.owned = opened !== undefined
    this.file = fileOf(database, opened)
    this.reads = new SqliteReads(database)
    this.writes = new SqliteWrites(database, this.reads, events)
    this.group = new GroupCommit(database, events)
  }

  async getHead(did: string): Promise<RepoHead | undefined> {
    return this.reads.head(did)
  }

  async getNodes(did: string, cids: readonly Cid[]): Promise<readonly (StoredNode | undefined)[]> {
    return this.reads.nodes(did, cids)
  }

  async getRecord(
    did: string,
    collection: string,
    rkey: string,
  ): Promise<StoredRecord | undefined> {
    return this.reads.records(did, [{ collection, rkey }])[0]
  }

  async listRecords(
    did: string,
    collection: string,
    options: ListRecordsOptions = {},
  ): Promise<readonly StoredRecord[]> {
    return this.reads.list(did, collection, options)
  }

  async listCollections(did: string): Promise<readonly string[]> {
    return this.reads.collections(did)
  }

  async countRecords(did: string): Promise<number> {
    return this.reads.count(did)
  }

  async listBlobs(
    did: string,
    options: PageOptions & { readonly since?: string } = {},
  ): Promise<readonly string[]> {
    return this.reads.blobs(did, options)
  }

  async blobReferences(did: string, blob: Cid): Promise<readonly RecordKey[]> {
    return this.reads.blobReferences(did, blob)
  }

  async listHeads(options: PageOptions = {}): Promise<readonly RepoHead[]> {
    return this.reads.heads(options)
  }

  async snapshot(did: string): Promise<RepoSnapshot | undefined> {
    return this.file === undefined
      ? copySnapshot(this.database, this.reads, did)
      : openFileSnapshot(this.file, did)
  }

  async commit(change: RepoChange): Promise<void> {
    await this.group.run(() => this.writes.commit(change))
  }

  async deleteRepo(
    did: string,
    options: { readonly events?: readonly EventEncoder[] } = {},
  ): Promise<boolean> {
    return this.group.run(() => this.writes.delete(did, options.events))
  }

  async close(): Promise<void> {
    this.group.flush()
    if (this.owned && this.database.isOpen) this.database.close()
  }
}

/** Gives the file behind a connection; undefined when it lives in memory or its file cannot be told. */
function fileOf(database: DatabaseSync, opened: string | undefined): string | undefined {
  const row = database.prepare("SELECT file FROM pragma_database_list WHERE name = 'main'").get()
  const file = row?.['file'] ?? opened
  return typeof file === 'string' && file !== '' && file !== ':memory:' ? file : undefined
}
