import type { DatabaseSync, StatementSync } from 'node:sqlite'

import { equalCids } from '../cid.ts'
import { HeadMovedError } from '../errors.ts'
import type {
  Block,
  EventEncoder,
  EventSink,
  RecordPut,
  RepoChange,
  RepoHead,
  StagedChange,
} from '../repo-store.ts'
import type { SqliteReads } from './sqlite-reads.ts'
import { integerOf } from './sqlite-rows.ts'

/** Stands in rows that were staged for the rev of the commit to come. */
const STAGED_REV = ''
/** Rows removed at once. */
const SWEPT_ROWS = 500

/** The prepared writes of one connection, to be called inside a transaction. */
export class SqliteWrites {
  private readonly reads: SqliteReads
  private readonly events: EventSink | undefined
  private readonly insertHead: StatementSync
  private readonly updateHead: StatementSync
  private readonly moveHead: StatementSync
  private readonly deleteHead: StatementSync
  private readonly putNode: StatementSync
  private readonly deleteNode: StatementSync
  private readonly putRecord: StatementSync
  private readonly deleteRecord: StatementSync
  private readonly putBlob: StatementSync
  private readonly deleteBlobs: StatementSync
  private readonly drawNumber: StatementSync
  private readonly addRetired: StatementSync
  private readonly touchStage: StatementSync
  private readonly retireStage: StatementSync
  private readonly retireStages: StatementSync
  private readonly retireAbandoned: StatementSync
  private readonly nextRetired: StatementSync
  private readonly deleteStage: StatementSync
  private readonly sweeping: readonly StatementSync[]

  constructor(database: DatabaseSync, reads: SqliteReads, events: EventSink | undefined) {
    this.reads = reads
    this.events = events
    this.insertHead = database.prepare(
      'INSERT INTO repo_head (repo, did, rev, cid, data, bytes, imported) VALUES (?, ?, ?, ?, ?, ?, ?)',
    )
    this.updateHead = database.prepare(
      'UPDATE repo_head SET rev = ?, cid = ?, data = ?, bytes = ? WHERE repo = ?',
    )
    this.moveHead = database.prepare('UPDATE repo_head SET repo = ?, imported = ? WHERE repo = ?')
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
    this.drawNumber = database.prepare('INSERT INTO repo_stage (did, touched) VALUES (?, ?)')
    this.addRetired = database.prepare(
      'INSERT INTO repo_stage (repo, did, touched) VALUES (?, ?, 0)',
    )
    this.touchStage = database.prepare(
      'UPDATE repo_stage SET touched = ? WHERE repo = ? AND touched > 0',
    )
    this.retireStage = database.prepare('UPDATE repo_stage SET touched = 0 WHERE repo = ?')
    this.retireStages = database.prepare('UPDATE repo_stage SET touched = 0 WHERE did = ?')
    this.retireAbandoned = database.prepare(
      'UPDATE repo_stage SET touched = 0 WHERE touched > 0 AND touched < ?',
    )
    this.nextRetired = database.prepare('SELECT repo FROM repo_stage WHERE touched = 0 LIMIT 1')
    this.deleteStage = database.prepare('DELETE FROM repo_stage WHERE repo = ?')
    const keys = [
      ['repo_node', 'cid'],
      ['repo_blob', 'collection, rkey, blob'],
      ['repo_record', 'collection, rkey'],
    ]
    this.sweeping = keys.map(([table, key]) =>
      database.prepare(
        `DELETE FROM ${table} WHERE repo = ?1
         AND (${key}) IN (SELECT ${key} FROM ${table} WHERE repo = ?1 LIMIT ${SWEPT_ROWS})`,
      ),
    )
  }

  /** Writes one commit. @throws {HeadMovedError} before anything is written, when the head is another. */
  commit(change: RepoChange): void {
    const { did, previous, head } = change
    this.checkHead(did, previous)
    const repo = this.putHead(head)
    for (const cid of change.deleteNodes) this.deleteNode.run(repo, cid.bytes)
    for (const { collection, rkey } of change.deleteRecords) {
      this.deleteRecord.run(repo, collection, rkey)
      this.deleteBlobs.run(repo, collection, rkey)
    }
    this.writeRows(repo, head.rev, change.putNodes, change.putRecords)
    this.append(did, change.events)
  }

  private checkHead(did: string, previous: RepoChange['previous']): void {
    const current = this.reads.head(did)
    const expected =
      previous === null
        ? current === undefined
        : current !== undefined && equalCids(current.commit, previous)
    if (!expected) throw new HeadMovedError(did)
  }

  private putHead({ did, rev, commit, data, bytes }: RepoHead): number {
    const known = this.reads.repo(did)
    if (known !== undefined) {
      this.updateHead.run(rev, commit.bytes, data.bytes, bytes, known.repo)
      return known.repo
    }
    const repo = this.number(did, 0)
    this.deleteStage.run(repo)
    this.insertHead.run(repo, did, rev, commit.bytes, data.bytes, bytes, rev)
    return repo
  }

  /** Gives a number no rows ever went by, as that of a stage. */
  private number(did: string, touched: number): number {
    return Number(this.drawNumber.run(did, touched).lastInsertRowid)
  }

  private writeRows(
    repo: number,
    rev: string,
    nodes: readonly Block[],
    records: readonly RecordPut[],
  ): void {
    for (const { cid, bytes } of nodes) this.putNode.run(repo, cid.bytes, rev, bytes)
    for (const { collection, rkey, cid, bytes, blobs } of records) {
      this.putRecord.run(repo, collection, rkey, cid.bytes, rev, bytes)
      this.deleteBlobs.run(repo, collection, rkey)
      for (const blob of blobs) this.putBlob.run(repo, collection, rkey, blob.toString(), rev)
    }
  }

  /**
   * Adds rows to a stage at the time `now`; without a number it is a new one, which ends those of the account before. Gives
   * its number.
   *
   * @throws {HeadMovedError} before anything is written, when the stage is gone.
   */
  stage(
    did: string,
    staged: number | undefined,
    now: number,
    nodes: readonly Block[],
    records: readonly RecordPut[],
  ): number {
    const repo = staged ?? this.openStage(did, now)
    if (this.touchStage.run(now, repo).changes === 0) throw new HeadMovedError(did)
    this.writeRows(repo, STAGED_REV, nodes, records)
    return repo
  }

  private openStage(did: string, now: number): number {
    this.retireStages.run(did)
    return this.number(did, now)
  }

  /**
   * Makes a stage the content of the repo; without a number there is only what the change holds.
   *
   * @throws {HeadMovedError} before anything is written, when the head is another or the stage is gone.
   */
  commitStage(did: string, staged: number | undefined, now: number, change: StagedChange): void {
    const { previous, head, putNodes, putRecords } = change
    this.checkHead(did, previous)
    if (staged !== undefined && this.touchStage.run(now, staged).changes === 0) {
      throw new HeadMovedError(did)
    }
    const repo = staged ?? this.number(did, now)
    const old = this.reads.repo(did)
    this.deleteStage.run(repo)
    this.retireStages.run(did)
    if (old !== undefined) {
      this.moveHead.run(repo, head.rev, old.repo)
      this.addRetired.run(old.repo, did)
      this.updateHead.run(head.rev, head.commit.bytes, head.data.bytes, head.bytes, repo)
    } else {
      const { rev, commit, data, bytes } = head
      this.insertHead.run(repo, did, rev, commit.bytes, data.bytes, bytes, rev)
    }
    this.writeRows(repo, STAGED_REV, putNodes, putRecords)
    this.append(did, change.events)
  }

  /** Leaves the rows of a stage to {@link sweep}. */
  retire(repo: number): void {
    this.retireStage.run(repo)
  }

  /** Takes a repo out of sight and leaves its rows to {@link sweep}; gives whether there was one. */
  delete(did: string, events: readonly EventEncoder[] | undefined): boolean {
    this.retireStages.run(did)
    const known = this.reads.repo(did)
    if (known === undefined) return false
    this.deleteHead.run(known.repo)
    this.addRetired.run(known.repo, did)
    this.append(did, events)
    return true
  }

  /** Removes some rows that belong to no repo, those of stages last touched before `abandoned` included; false when there are none. */
  sweep(abandoned: number): boolean {
    this.retireAbandoned.run(abandoned)
    const row = this.nextRetired.get()
    if (row === undefined) return false
    const repo = integerOf(row, 'repo')
    for (const statement of this.sweeping) {
      if (statement.run(repo).changes > 0) return true
    }
    this.deleteStage.run(repo)
    return true
  }

  private append(did: string, events: readonly EventEncoder[] = []): void {
    if (events.length === 0) return
    if (this.events === undefined) throw new TypeError('the store was opened without an event sink')
    for (const encode of events) this.events.append(did, encode)
  }
}
