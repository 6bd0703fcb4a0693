import type { DatabaseSync } from 'node:sqlite'

import { HeadMovedError } from '../errors.ts'
import type { EventSink } from '../repo-store.ts'

interface Job {
  /** Writes, and gives what tells the caller once it is durable. */
  readonly run: () => () => void
  readonly reject: (error: unknown) => void
}

/** Changes that share one transaction at most; bounds how long the event loop is held. */
const MAX_GROUP = 256

/**
 * Runs changes in transactions, those that arrive together in one: they share the fsync that makes them durable, and are
 * durable when their promises resolve. A change that is refused before it wrote anything does not disturb the others; when
 * one fails half way the transaction is undone and each is run again alone.
 */
export class GroupCommit {
  private readonly database: DatabaseSync
  private readonly events: EventSink | undefined
  private jobs: Job[] = []
  private scheduled = false

  constructor(database: DatabaseSync, events: EventSink | undefined) {
    this.database = database
    this.events = events
  }

  /** Gives the result of `write` once the transaction it ran in is durable. */
  run<T>(write: () => T): Promise<T> {
    this.schedule()
    return new Promise<T>((resolve, reject) => {
      // Closes over its own result type, so that the queue need not know it.
      this.jobs.push({
        run: () => {
          const value = write()
          return () => resolve(value)
        },
        reject,
      })
    })
  }

  /** Runs what is waiting, now. */
  flush(): void {
    this.scheduled = false
    try {
      while (this.jobs.length > 0) {
        const group = this.jobs.splice(0, MAX_GROUP)
        if (!this.tryGroup(group)) for (const job of group) this.tryGroup([job])
      }
    } finally {
      if (this.jobs.length > 0) this.schedule()
    }
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    // Behind everything the event loop has ready now, so that concurrent requests meet in one transaction.
    setImmediate(() => this.flush())
  }

  /** Runs a group in one transaction; gives false when a larger group must be run one by one. */
  private tryGroup(group: readonly Job[]): boolean {
    const settle: (() => void)[] = []
    try {
      this.database.exec('BEGIN IMMEDIATE')
      for (const { run, reject } of group) {
        try {
          settle.push(run())
        } catch (error) {
          if (!(error instanceof HeadMovedError)) throw error
          // Refused before its first write: the others go on.
          settle.push(() => reject(error))
        }
      }
      this.database.exec('COMMIT')
    } catch (error) {
      this.rollBack()
      if (group.length > 1) return false
      for (const { reject } of group) reject(error)
      return true
    }
    // First those who wait: they are durable, whatever the sink makes of it.
    for (const done of settle) done()
    this.events?.committed()
    return true
  }

  private rollBack(): void {
    try {
      this.database.exec('ROLLBACK')
    } catch {
      // SQLite has already undone the transaction itself, or it never began.
    }
    this.events?.rolledBack()
  }
}
