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
  RepoStage,
  RepoStore,
  StoredNode,
  StoredRecord,
} from '../repo-store.ts'
import { GroupCommit } from './group-commit.ts'
import { SqliteReads } from './sqlite-reads.ts'
import { createTables } from './sqlite-schema.ts'
import { copySnapshot, openFileSnapshot } from './sqlite-snapshot.ts'
import { SqliteStage, WaitingBlocks } from './sqlite-stage.ts'
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
  /** Milliseconds since 1970; tells which imports were abandoned. @defaultValue the system clock */
  readonly now?: () => number
}

/** An import that stored nothing for so long is taken for dead, its process killed (ms). */
const ABANDONED_MS = 3_600_000

/**
 * Opens a store. Tables are created where they are absent. What imports of killed processes left is removed: by the next
 * import of the same account, or, an hour later, by whoever opens the database.
 */
export function openSqliteRepoStore(options: SqliteRepoStoreOptions): RepoStore & AsyncDisposable {
  const { database } = options
  if (typeof database !== 'string') return new SqliteRepoStore(database, undefined, options)
  const opened = new DatabaseSync(database)
  try {
    opened.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    return new SqliteRepoStore(opened, database, options)
  } catch (error) {
    opened.close()
    throw error
  }
}

class SqliteRepoStore implements RepoStore, AsyncDisposable {
  private readonly database: DatabaseSync
  private readonly owned: boolean
  private readonly file: string | undefined
  private readonly reads: SqliteReads
  private readonly writes: SqliteWrites
  private readonly group: GroupCommit
  private readonly now: () => number
  private waiting: WaitingBlocks | undefined
  private sweeping: Promise<void> | undefined
  private closed = false

  constructor(
    database: DatabaseSync,
    opened: string | undefined,
    { events, now = Date.now }: SqliteRepoStoreOptions,
  ) {
    createTables(database)
    this.database = database
    this.owned = opened !== undefined
    this.file = fileOf(database, opened)
    this.reads = new SqliteReads(database)
    this.writes = new SqliteWrites(database, this.reads, events)
    this.group = new GroupCommit(database, events)
    this.now = now
    if (this.reads.hasLeftovers(now() - ABANDONED_MS)) {
      // Nobody waits for it: what fails is tried again when the database is opened next.
      this.sweep().catch(() => {})
    }
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

  stage(did: string): RepoStage {
    return new SqliteStage(did, {
      writes: this.writes,
      group: this.group,
      now: this.now,
      waiting: () => (this.waiting ??= new WaitingBlocks(this.database)),
      sweep: () => this.sweep(),
    })
  }

  async deleteRepo(
    did: string,
    options: { readonly events?: readonly EventEncoder[] } = {},
  ): Promise<boolean> {
    const deleted = await this.group.run(() => this.writes.delete(did, options.events))
    await this.sweep()
    return deleted
  }

  /** Removes what belongs to no repo, some rows at a time. */
  private sweep(): Promise<void> {
    this.sweeping ??= this.sweepAll().finally(() => (this.sweeping = undefined))
    return this.sweeping
  }

  private async sweepAll(): Promise<void> {
    while (!this.closed) {
      if (!(await this.group.run(() => this.writes.sweep(this.now() - ABANDONED_MS)))) return
    }
  }

  async close(): Promise<void> {
    this.closed = true
    this.group.flush()
    if (this.owned && this.database.isOpen) this.database.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Gives the file behind a connection; undefined when it lives in memory or its file cannot be told. */
function fileOf(database: DatabaseSync, opened: string | undefined): string | undefined {
  const row = database.prepare("SELECT file FROM pragma_database_list WHERE name = 'main'").get()
  const file = row?.['file'] ?? opened
  return typeof file === 'string' && file !== '' && file !== ':memory:' ? file : undefined
}
