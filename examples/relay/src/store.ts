import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import type {
  AccountRecord,
  HostRecord,
  Page,
  RelayChange,
  RelayStore,
} from '@skywright/firehose/relay'
import type { EventSink } from '@skywright/repo'
import type { CollectionIndex } from './collection-index.ts'

interface Waiting {
  readonly change: RelayChange
  readonly resolve: (seqs: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

type Row = Record<string, SQLOutputValue>

/** Least time between two transactions under load: what arrives meanwhile shares the next fsync. */
const GROUP_COMMIT_MS = 5
/** So many waiting events are committed without waiting for more. */
const GROUP_COMMIT_EVENTS = 256

/**
 * Hosts and accounts in SQLite, in one transaction with the event log on the same database: an event, the state of
 * its account and the cursor of its host become durable together, which is why a killed relay neither loses nor
 * repeats anything.
 *
 * The index of collections is part of the same transaction. A change after a pause is written at once; under load,
 * changes within {@link GROUP_COMMIT_MS} share one transaction. Account counts of hosts are kept here,
 * from the accounts themselves; `accountCount` of a written host is ignored.
 */
export class SqliteRelayStore implements RelayStore {
  readonly #database: DatabaseSync
  readonly #events: EventSink
  readonly #collections: CollectionIndex
  readonly #statements = new Map<string, StatementSync>()
  #waiting: Waiting[] = []
  #waitingEvents = 0
  #flushedAtMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(database: DatabaseSync, events: EventSink, collections: CollectionIndex) {
    this.#database = database
    this.#events = events
    this.#collections = collections
  }

  getHost(hostname: string): HostRecord | undefined {
    const row = this.#prepare('SELECT * FROM relay_host WHERE hostname = ?').get(hostname)
    return row && toHost(row)
  }

  listHosts(options: { readonly limit: number; readonly cursor?: string }): Page<HostRecord> {
    const rows = this.#prepare(
      'SELECT * FROM relay_host WHERE hostname > ? ORDER BY hostname LIMIT ?',
    ).all(options.cursor ?? '', options.limit)
    return toPage(rows.map(toHost), options.limit, (host) => host.hostname)
  }

  getAccount(did: string): AccountRecord | undefined {
    const row = this.#prepare('SELECT * FROM relay_account WHERE did = ?').get(did)
    return row && toAccount(row)
  }

  listAccounts(options: { readonly limit: number; readonly cursor?: string }): Page<AccountRecord> {
    const rows = this.#prepare(
      'SELECT * FROM relay_account WHERE did > ? ORDER BY did LIMIT ?',
    ).all(options.cursor ?? '', options.limit)
    return toPage(rows.map(toAccount), options.limit, (account) => account.did)
  }

  commit(change: RelayChange): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject })
      this.#waitingEvents += change.events.length
      if (this.#waitingEvents >= GROUP_COMMIT_EVENTS) this.#flush()
      else this.#timer ??= setTimeout(() => this.#flush(), this.#pauseMs())
    })
  }

  countHostsAddedSince(ms: number): number {
    const row = this.#prepare('SELECT count(*) AS n FROM relay_host WHERE added_at >= ?').get(ms)
    return Number(row?.['n'])
  }

  countHostsByStatus(): readonly { readonly status: string; readonly count: number }[] {
    return this.#prepare('SELECT status, count(*) AS n FROM relay_host GROUP BY status')
      .all()
      .map((row) => ({ status: String(row['status']), count: Number(row['n']) }))
  }

  /** Accounts that live at a host, without counting them one by one. */
  countAccounts(): number {
    return Number(this.#prepare('SELECT sum(account_count) AS n FROM relay_host').get()?.['n'])
  }

  /** Remembers that an operator chose the account limit of a host. */
  markLimitSet(hostname: string): void {
    this.#prepare('UPDATE relay_host SET account_limit_set = 1 WHERE hostname = ?').run(hostname)
  }

  isLimitSet(hostname: string): boolean {
    const row = this.#prepare('SELECT account_limit_set FROM relay_host WHERE hostname = ?').get(
      hostname,
    )
    return row?.['account_limit_set'] === 1
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#flush()
    return Promise.resolve()
  }

  #pauseMs(): number {
    return Math.max(0, this.#flushedAtMs + GROUP_COMMIT_MS - performance.now())
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const group = this.#waiting
    this.#waiting = []
    this.#waitingEvents = 0
    if (group.length === 0 || this.#transact(group) || group.length === 1) return
    // One bad change must not take its neighbours down: each gets a transaction of its own.
    for (const waiting of group) this.#transact([waiting])
  }

  /** Applies a group; gives `false` when it failed, having rejected the caller if the group is a single change. */
  #transact(group: readonly Waiting[]): boolean {
    const results: (readonly number[])[] = []
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      for (const { change } of group) results.push(this.#apply(change))
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      this.#events.rolledBack()
      if (group.length === 1) group[0]?.reject(error)
      return false
    }
    this.#flushedAtMs = performance.now()
    this.#events.committed()
    for (const [i, { resolve }] of group.entries()) resolve(results[i] ?? [])
    return true
  }

  #apply(change: RelayChange): readonly number[] {
    for (const host of change.hosts) this.#putHost(host)
    for (const hostname of change.resetHosts ?? []) {
      this.#prepare('UPDATE relay_account SET host_seq = NULL WHERE hostname = ?').run(hostname)
    }
    for (const account of change.accounts) this.#putAccount(account)
    return change.events.map((append) => {
      this.#collections.apply(append)
      return this.#events.append(append.did, append.encode)
    })
  }

  #putHost(host: HostRecord): void {
    this.#prepare(
      `INSERT INTO relay_host
         (hostname, url, status, cursor, enforcement, account_limit, added_at, last_event_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (hostname) DO UPDATE SET url = excluded.url, status = excluded.status,
         cursor = excluded.cursor, enforcement = excluded.enforcement,
         account_limit = excluded.account_limit, last_event_at = excluded.last_event_at`,
    ).run(
      host.hostname,
      host.url,
      host.status,
      host.cursor ?? null,
      host.enforcement,
      host.accountLimit,
      host.addedAtMs,
      host.lastEventAtMs ?? null,
    )
  }

  #putAccount(account: AccountRecord): void {
    const before = this.getAccount(account.did)
    this.#prepare(
      `INSERT OR REPLACE INTO relay_account
         (did, hostname, upstream_status, local_status, rev, data, commit_cid, host_seq, discontinuities)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      account.did,
      account.hostname,
      account.upstreamStatus,
      account.localStatus ?? null,
      account.chain?.rev ?? null,
      account.chain?.data ?? null,
      account.chain?.commit ?? null,
      account.hostSeq ?? null,
      account.discontinuities,
    )
    const from = before && countedAt(before)
    const to = countedAt(account)
    if (from === to) return
    if (from !== undefined) this.#count(from, -1)
    if (to !== undefined) this.#count(to, 1)
  }

  #count(hostname: string, change: number): void {
    this.#prepare('UPDATE relay_host SET account_count = account_count + ? WHERE hostname = ?').run(
      change,
      hostname,
    )
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

/** The host whose account count includes this account. */
function countedAt(account: AccountRecord): string | undefined {
  return account.upstreamStatus === 'deleted' ? undefined : account.hostname
}

function toPage<T>(items: readonly T[], limit: number, key: (item: T) => string): Page<T> {
  const last = items.at(-1)
  return { items, cursor: items.length < limit || last === undefined ? undefined : key(last) }
}

function toHost(row: Row): HostRecord {
  return {
    hostname: String(row['hostname']),
    url: String(row['url']),
    status: String(row['status']) as HostRecord['status'], // written by #putHost only
    cursor: optionalNumber(row['cursor']),
    enforcement: String(row['enforcement']) as HostRecord['enforcement'], // written by #putHost only
    accountCount: Number(row['account_count']),
    accountLimit: Number(row['account_limit']),
    addedAtMs: Number(row['added_at']),
    lastEventAtMs: optionalNumber(row['last_event_at']),
  }
}

function toAccount(row: Row): AccountRecord {
  const { rev, data, commit_cid: commit } = row
  return {
    did: String(row['did']),
    hostname: String(row['hostname']),
    upstreamStatus: String(row['upstream_status']),
    localStatus: optionalText(row['local_status']),
    chain:
      typeof rev === 'string' && typeof data === 'string' && typeof commit === 'string'
        ? { rev, data, commit }
        : undefined,
    hostSeq: optionalNumber(row['host_seq']),
    discontinuities: Number(row['discontinuities']),
  }
}

function optionalNumber(value: SQLOutputValue | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function optionalText(value: SQLOutputValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}
