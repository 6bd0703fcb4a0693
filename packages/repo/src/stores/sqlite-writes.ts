import type { DatabaseSync, StatementSync } from 'node:sqlite'

import { equalCids } from '../cid.ts'
import { HeadMovedError } from '../errors.ts'
import type { EventEncoder, EventSink, RecordPut, RepoChange } from '../repo-store.ts'
import type { SqliteReads } from './sqlite-reads.ts'

/** The prepared writes of one connection, to be called inside a transaction. */
export class SqliteWrites {
  private readonly reads: SqliteReads
  private readonly events: EventSink | undefined
  private readonly insertHead: StatementSync
  private readonly updateHead: StatementSync
  private readonly deleteHead: StatementSync
  private readonly putNode: StatementSync
  private readonly deleteNode: StatementSync
  private readonly putRecord: StatementSync
  private readonly deleteRecord: StatementSync
  private readonly putBlob: StatementSync
  private readonly deleteBlobs: StatementSync
  private readonly clearing: readonly StatementSync[]

  constructor(database: DatabaseSync, reads: SqliteReads, events: EventSink | undefined) {
    this.reads = reads
    this.events = events
    this.insertHead = database.prepare(
      'INSERT INTO repo_head (did, rev, cid, data, bytes) VALUES (?, ?, ?, ?, ?)',
    )
    this.updateHead = database.prepare(
      'UPDATE repo_head SET rev = ?, cid = ?, data = ?, bytes = ? WHERE repo = ?',
    )
    this.deleteHead = database.prepare('DELETE FROM repo_head WHERE repo = ?')
    this.putNode = database.prepare(
      'INSERT OR REPLACE INTO repo_node (repo, cid, rev, bytes) VALUES (?, ?, ?, ?)',
    )
    this.deleteNode = database.prepare('DELETE FROM repo_node WHERE repo = ? AND cid = ?')
    this.putRecord = database.prepare(
      'INSERT OR REPLACE INTO repo_record (repo, collection, rkey, cid, rev, bytes) VALUES (?, ?, ?, ?, ?, ?)',
    )
    this.deleteRecord = database.prepare(
      'DELETE FROM repo_record WHERE repo = ? AND collection = ? AND rkey = ?',
    )
    this.putBlob = database.prepare(
      'INSERT OR REPLACE INTO repo_blob (repo, collection, rkey, blob, rev) VALUES (?, ?, ?, ?, ?)',
    )
    this.deleteBlobs = database.prepare(
      'DELETE FROM repo_blob WHERE repo = ? AND collection = ? AND rkey = ?',
    )
    this.clearing = ['repo_node', 'repo_record', 'repo_blob'].map((table) =>
      database.prepare(`DELETE FROM ${table} WHERE repo = ?`),
    )
  }

  /** Writes one commit. @throws {HeadMovedError} before anything is written, when the head is another. */
  commit(change: RepoChange): void {
    const { did, previous, head } = change
    const current = this.reads.head(did)
    const expected =
      previous === null
        ? current === undefined
        : current !== undefined && equalCids(current.commit, previous)
    if (!expected) throw new HeadMovedError(did)
    const repo = this.putHead(change)
    if (change.replace === true) this.clear(repo)
    for (const cid of change.deleteNodes) this.deleteNode.run(repo, cid.bytes)
    for (const { cid, bytes } of change.putNodes) this.putNode.run(repo, cid.bytes, head.rev, bytes)
    for (const { collection, rkey } of change.deleteRecords) {
      this.deleteRecord.run(repo, collection, rkey)
      this.deleteBlobs.run(repo, collection, rkey)
    }
    for (const record of change.putRecords) this.writeRecord(repo, head.rev, record)
    this.append(did, change.events)
  }

  private putHead({ did, previous, head }: RepoChange): number {
    const { rev, commit, data, bytes } = head
    if (previous === null) {
      return Number(this.insertHead.run(did, rev, commit.bytes, data.bytes, bytes).lastInsertRowid)
    }
    const repo = this.reads.repo(did)
    if (repo === undefined) throw new HeadMovedError(did)
    this.updateHead.run(rev, commit.bytes, data.bytes, bytes, repo)
    return repo
  }

  private writeRecord(repo: number, rev: string, record: RecordPut): void {
    const { collection, rkey, cid, bytes, blobs } = record
    this.putRecord.run(repo, collection, rkey, cid.bytes, rev, bytes)
    this.deleteBlobs.run(repo, collection, rkey)
    for (const blob of blobs) this.putBlob.run(repo, collection, rkey, blob.toString(), rev)
  }

  /** Removes a repo; gives whether there was one. */
  delete(did: string, events: readonly EventEncoder[] | undefined): boolean {
    const repo = this.reads.repo(did)
    if (repo === undefined) return false
    this.clear(repo)
    this.deleteHead.run(repo)
    this.append(did, events)
    return true
  }

  private clear(repo: number): void {
    for (const statement of this.clearing) statement.run(repo)
  }

  private append(did: string, events: readonly EventEncoder[] = []): void {
    if (events.length === 0) return
    if (this.events === undefined) throw new TypeError('the store was opened without an event sink')
    for (const encode of events) this.events.append(did, encode)
  }
}
