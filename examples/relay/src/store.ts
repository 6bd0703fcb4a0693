import type { DatabaseSync } from 'node:sqlite'
import { decodeEvent } from '@skywright/firehose'
import type {
  AccountRecord,
  HostRecord,
  Page,
  RelayChange,
  RelayStore,
} from '@skywright/firehose/relay'
import type { SegmentAppend, SegmentEventLog } from '@skywright/firehose/segments'
import { parseCid } from '@skywright/repo'
import { decodeAccountNote, encodeAccountNote } from './account-note.ts'
import type { CollectionIndex } from './collection-index.ts'
import type { RelayTables } from './tables.ts'

export interface RelayStoreParts {
  readonly database: DatabaseSync
  readonly tables: RelayTables
  readonly collections: CollectionIndex
  readonly log: SegmentEventLog
}

interface Waiting {
  readonly change: RelayChange
  readonly resolve: (seqs: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Opens the durable state of a relay: events in the log, hosts and accounts in SQLite.
 *
 * The log comes first. An event lies there, on disk, with the state of its account beside it, before the tables hear of
 * it, so the tables need no fsync of their own for it: what they miss after a crash is taken from the log here. A change
 * without events is made durable in the tables at once. Changes that come while one is being written share the next write.
 */
export async function openRelayStore(parts: RelayStoreParts): Promise<RelayStore> {
  await catchUp(parts)
  return new LoggedRelayStore(parts)
}

/** Brings the tables to where the log is. */
async function catchUp({ database, tables, collections, log }: RelayStoreParts): Promise<void> {
  for (let position = tables.appliedSeq; ;) {
    const page = await log.read(position)
    const last = page.at(-1)
    if (last === undefined) return
    inTransaction({ database, tables }, () => {
      for (const { did, frame, note } of page) {
        if (note.length === 0) continue
        const { account, provenData } = decodeAccountNote(note)
        tables.putAccount(account)
        const data = provenData === undefined ? undefined : parseCid(provenData)
        collections.apply({ did, event: decodeEvent(frame), data })
      }
      tables.setAppliedSeq(last.seq)
    })
    position = last.seq
  }
}

class LoggedRelayStore implements RelayStore {
  readonly #parts: RelayStoreParts
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #broken: Error | undefined

  constructor(parts: RelayStoreParts) {
    this.#parts = parts
  }

  getHost(hostname: string): HostRecord | undefined {
    return this.#parts.tables.getHost(hostname)
  }

  listHosts(options: { readonly limit: number; readonly cursor?: string }): Page<HostRecord> {
    return this.#parts.tables.listHosts(options)
  }

  getAccount(did: string): AccountRecord | undefined {
    return this.#parts.tables.getAccount(did)
  }

  listAccounts(options: { readonly limit: number; readonly cursor?: string }): Page<AccountRecord> {
    return this.#parts.tables.listAccounts(options)
  }

  commit(change: RelayChange): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject })
      this.#writing ??= this.#write()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
  }

  async #write(): Promise<void> {
    // What is committed in the same turn shares the write.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      if (await this.#transact(group)) continue
      // One bad change must not take its neighbours down: each is tried by itself.
      for (const waiting of group) await this.#transact([waiting])
    }
    this.#writing = undefined
  }

  /** Stores a group; gives `false` when nothing of it was stored and each change deserves a try of its own. */
  async #transact(group: readonly Waiting[]): Promise<boolean> {
    let stored = false
    try {
      if (this.#broken !== undefined) throw this.#broken
      const seqs = await this.#append(group)
      stored = true
      this.#apply(group, seqs.at(-1))
      let at = 0
      for (const { change, resolve } of group) {
        resolve(seqs.slice(at, (at += change.events.length)))
      }
    } catch (error) {
      // The tables are behind the log now, and only a new start brings them back to it.
      if (stored) this.#broken = error instanceof Error ? error : new Error(String(error))
      else if (group.length > 1) return false
      for (const { reject } of group) reject(error)
    }
    return true
  }

  async #append(group: readonly Waiting[]): Promise<readonly number[]> {
    const appends: SegmentAppend[] = []
    for (const { change } of group) {
      for (const append of change.events) {
        const { did, encode } = append
        const account = change.accounts.find((one) => one.did === did)
        const note = account && encodeAccountNote(account, append)
        appends.push({ did, encode, note })
      }
    }
    return appends.length === 0 ? [] : await this.#parts.log.publish(appends)
  }

  #apply(group: readonly Waiting[], lastSeq: number | undefined): void {
    const { database, tables, collections } = this.#parts
    const isInLog = group.every(({ change }) => change.events.length > 0)
    inTransaction(
      { database, tables },
      () => {
        for (const { change } of group) {
          for (const host of change.hosts) tables.putHost(host)
          for (const hostname of change.resetHosts ?? []) tables.forgetHostSeqs(hostname)
          for (const account of change.accounts) tables.putAccount(account)
          for (const { did, event, verified } of change.events) {
            collections.apply({ did, event, data: verified?.data })
          }
        }
        if (lastSeq !== undefined) tables.setAppliedSeq(lastSeq)
      },
      { durable: !isInLog },
    )
  }
}

function inTransaction(
  { database, tables }: Pick<RelayStoreParts, 'database' | 'tables'>,
  work: () => void,
  { durable = true }: { readonly durable?: boolean } = {},
): void {
  // In WAL mode, NORMAL leaves the fsync to the next durable transaction, which covers everything before it.
  database.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}; BEGIN IMMEDIATE`)
  try {
    work()
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    tables.rolledBack()
    throw error
  }
}
