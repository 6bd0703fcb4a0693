import type { DatabaseSync, StatementSync } from 'node:sqlite'

import type { Cid } from '../cid.ts'
import type { Block, RecordPut, RepoStage, StagedChange } from '../repo-store.ts'
import { pause } from '../steps.ts'
import type { GroupCommit } from './group-commit.ts'
import { bytesOf } from './sqlite-rows.ts'
import type { SqliteWrites } from './sqlite-writes.ts'

/** Blocks removed at once. */
const CLEARED_BLOCKS = 500

/**
 * Blocks that wait, in a temporary table: SQLite keeps it in a file of this connection alone, which is gone with the process.
 * Each stage has a number there.
 */
export class WaitingBlocks {
  private readonly database: DatabaseSync
  private readonly insert: StatementSync
  private readonly select: StatementSync
  private readonly remove: StatementSync
  private stages = 0

  constructor(database: DatabaseSync) {
    database.exec(
      `CREATE TEMP TABLE IF NOT EXISTS repo_waiting (
         stage INTEGER NOT NULL, cid BLOB NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (stage, cid)
       ) STRICT, WITHOUT ROWID`,
    )
    this.database = database
    this.insert = database.prepare('INSERT OR IGNORE INTO temp.repo_waiting VALUES (?, ?, ?)')
    this.select = database.prepare(
      'SELECT bytes FROM temp.repo_waiting WHERE stage = ? AND cid = ?',
    )
    this.remove = database.prepare(
      `DELETE FROM temp.repo_waiting WHERE stage = ?1
       AND cid IN (SELECT cid FROM temp.repo_waiting WHERE stage = ?1 LIMIT ${CLEARED_BLOCKS})`,
    )
  }

  /** Gives a number for a stage. */
  open(): number {
    return ++this.stages
  }

  put(stage: number, blocks: readonly Block[]): void {
    this.database.exec('BEGIN')
    try {
      for (const { cid, bytes } of blocks) this.insert.run(stage, cid.bytes, bytes)
      this.database.exec('COMMIT')
    } catch (error) {
      this.database.exec('ROLLBACK')
      throw error
    }
  }

  get(stage: number, cid: Cid): Uint8Array | undefined {
    const row = this.select.get(stage, cid.bytes)
    return row === undefined ? undefined : bytesOf(row, 'bytes')
  }

  async clear(stage: number): Promise<void> {
    while (this.remove.run(stage).changes > 0) await pause()
  }
}

/** What a stage works with. */
export interface SqliteStageParts {
  readonly writes: SqliteWrites
  readonly group: GroupCommit
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Gives where blocks wait; made when the first ones do. */
  readonly waiting: () => WaitingBlocks
  /** Removes rows that belong to no repo. */
  readonly sweep: () => Promise<void>
}

/** Staged content in the tables, under a number no head points to. */
export class SqliteStage implements RepoStage {
  private readonly did: string
  private readonly parts: SqliteStageParts
  private repo: number | undefined
  private waiting: { readonly blocks: WaitingBlocks; readonly stage: number } | undefined

  constructor(did: string, parts: SqliteStageParts) {
    this.did = did
    this.parts = parts
  }

  async putBlocks(blocks: readonly Block[]): Promise<void> {
    if (this.waiting === undefined) {
      const opened = this.parts.waiting()
      this.waiting = { blocks: opened, stage: opened.open() }
    }
    this.waiting.blocks.put(this.waiting.stage, blocks)
  }

  async getBlocks(cids: readonly Cid[]): Promise<readonly (Uint8Array | undefined)[]> {
    const { waiting } = this
    return cids.map((cid) => waiting?.blocks.get(waiting.stage, cid))
  }

  async put(nodes: readonly Block[], records: readonly RecordPut[]): Promise<void> {
    const { writes, group, now } = this.parts
    this.repo = await group.run(() => writes.stage(this.did, this.repo, now(), nodes, records))
  }

  async commit(change: StagedChange): Promise<void> {
    const { writes, group, now } = this.parts
    await group.run(() => writes.commitStage(this.did, this.repo, now(), change))
    this.repo = undefined
  }

  async close(): Promise<void> {
    const { repo, waiting } = this
    const { writes, group, sweep } = this.parts
    try {
      if (waiting !== undefined) await waiting.blocks.clear(waiting.stage)
      if (repo !== undefined) await group.run(() => writes.retire(repo))
      await sweep()
    } catch {
      // The connection is closed or the disk is full: the rows are out of sight, and are removed when a store is opened next.
    }
  }
}
