import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { AccountRecord, HostRecord, Page } from '@skywright/firehose/relay'
import { LRUCache } from 'lru-cache'
import type { ListedRepo } from './host-questions.ts'

/** Accounts kept in memory: every event asks for its own several times. About 600 bytes each. */
const MAX_CACHED_ACCOUNTS = 100_000

/** The newest commit of a repository. */
export interface RepoHead {
  /** Signed commit, as CID text. */
  readonly cid: string
  readonly rev: string
}

type Row = Record<string, SQLOutputValue>

/**
 * Hosts and accounts in SQLite. Account counts of hosts are kept here, from the accounts themselves; `accountCount` of a
 * written host is ignored.
 */
export class RelayTables {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #accounts = new LRUCache<string, AccountRecord>({ max: MAX_CACHED_ACCOUNTS })

  constructor(database: DatabaseSync) {
    this.#database = database
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
    const cached = this.#accounts.get(did)
    if (cached !== undefined) return cached
    const row = this.#prepare('SELECT * FROM relay_account WHERE did = ?').get(did)
    if (row === undefined) return undefined
    const account = toAccount(row)
    this.#accounts.set(did, account)
    return account
  }

  listAccounts(options: { readonly limit: number; readonly cursor?: string }): Page<AccountRecord> {
    const rows = this.#prepare(
      'SELECT * FROM relay_account WHERE did > ? ORDER BY did LIMIT ?',
    ).all(options.cursor ?? '', options.limit)
    return toPage(rows.map(toAccount), options.limit, (account) => account.did)
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

  /** Everything in the log up to this number is in these tables. */
  get appliedSeq(): number {
    return Number(this.#prepare('SELECT applied_seq FROM relay_state').get()?.['applied_seq'] ?? 0)
  }

  setAppliedSeq(seq: number): void {
    this.#prepare('UPDATE relay_state SET applied_seq = ?').run(seq)
  }

  /** Forgets the numbers that a host's accounts had there: it began a new sequence. */
  forgetHostSeqs(hostname: string): void {
    this.#prepare('UPDATE relay_account SET host_seq = NULL WHERE hostname = ?').run(hostname)
    this.#accounts.clear()
  }

  /** To be called after a transaction was rolled back: what is remembered of it never became true. */
  rolledBack(): void {
    this.#accounts.clear()
  }

  putHost(host: HostRecord): void {
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

  putAccount(account: AccountRecord): void {
    const before = this.getAccount(account.did)
    if (before === undefined || !livesAlike(before, account)) this.#replaceAccount(account)
    else this.#moveAccount(account)
    this.#accounts.set(account.did, account)
    const from = before && countedAt(before)
    const to = countedAt(account)
    if (from === to) return
    if (from !== undefined) this.#count(from, -1)
    if (to !== undefined) this.#count(to, 1)
  }

  /** Takes an account that its host listed and no event has shown. Does nothing when it is known. */
  addListedAccount({ did, rev, head }: ListedRepo, hostname: string): void {
    if (this.getAccount(did) !== undefined) return
    this.#prepare('INSERT OR REPLACE INTO relay_listed (did, rev, head) VALUES (?, ?, ?)').run(
      did,
      rev,
      head,
    )
    this.putAccount({
      did,
      hostname,
      upstreamStatus: 'active',
      localStatus: undefined,
      chain: undefined,
      hostSeq: undefined,
      discontinuities: 0,
    })
  }

  /** The newest commit known of an account: from the stream, else from its host's listing. */
  headOf({ did, chain }: AccountRecord): RepoHead | undefined {
    if (chain !== undefined) return { cid: chain.commit, rev: chain.rev }
    const row = this.#prepare('SELECT rev, head FROM relay_listed WHERE did = ?').get(did)
    return row && { cid: String(row['head']), rev: String(row['rev']) }
  }

  #replaceAccount(account: AccountRecord): void {
    this.#prepare(
      `INSERT OR REPLACE INTO relay_account
         (did, hostname, upstream_status, local_status, rev, data, commit_cid, host_seq, discontinuities)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      account.did,
      account.hostname,
      account.upstreamStatus,
      account.localStatus ?? null,
      ...progressOf(account),
    )
  }

  /** What nearly every event does: only how far the account is changes, and no index with it. */
  #moveAccount(account: AccountRecord): void {
    this.#prepare(
      `UPDATE relay_account SET rev = ?, data = ?, commit_cid = ?, host_seq = ?, discontinuities = ?
       WHERE did = ?`,
    ).run(...progressOf(account), account.did)
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

/** Whether two records of one account differ at most in how far it is. */
function livesAlike(one: AccountRecord, other: AccountRecord): boolean {
  return (
    one.hostname === other.hostname &&
    one.upstreamStatus === other.upstreamStatus &&
    one.localStatus === other.localStatus
  )
}

/** How far an account is: rev, data, commit, number at its host, discontinuities. */
function progressOf({ chain, hostSeq, discontinuities }: AccountRecord): SQLInputValue[] {
  return [
    chain?.rev ?? null,
    chain?.data ?? null,
    chain?.commit ?? null,
    hostSeq ?? null,
    discontinuities,
  ]
}

/** The host whose account count includes this account. */
function countedAt(account: AccountRecord): string | undefined {
  return account.upstreamStatus === 'deleted' ? undefined : account.hostname
}

function toPage<T>(items: readonly T[], limit: number, key: (item: T) => string): Page<T> {
  const last = items.at(-1)
  return { items, cursor: items.length < limit || last === undefined ? undefined : key(last) }
}

/** A row of `relay_host`. */
export function toHost(row: Row): HostRecord {
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

/** A row of `relay_account`. */
export function toAccount(row: Row): AccountRecord {
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
