import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'

/** Incidents remembered per host; older ones survive in the counts only. */
export const MAX_INCIDENTS_PER_HOST = 100
/** Longest detail kept of an error, in characters. */
const MAX_DETAIL_LENGTH = 300
/** How long outcomes gather in memory before they are written, in milliseconds. */
const FLUSH_MS = 500

/**
 * - `accepted`: passed on.
 * - `discontinuous`: valid and passed on, but it does not follow what the relay had.
 * - `tolerated`: invalid and passed on all the same, because the host is only observed or warned.
 * - `rejected`: dropped.
 * - `connection`: no event at all: the host could not be read.
 */
export type OutcomeKind = 'accepted' | 'discontinuous' | 'tolerated' | 'rejected' | 'connection'

/** Something a host owner would want to know: what happened to which event, and why. */
export interface Incident {
  readonly atMs: number
  readonly outcome: Exclude<OutcomeKind, 'accepted'>
  readonly reason: string
  readonly did?: string
  /** The host's own sequence number. */
  readonly seq?: number
  readonly rev?: string
  readonly detail?: string
}

export interface OutcomeCount {
  readonly outcome: OutcomeKind
  /** Empty for accepted events. */
  readonly reason: string
  readonly count: number
  readonly lastAtMs: number
}

/**
 * What became of each host's events: exact counts by outcome and reason, and the last incidents one by one.
 *
 * Memory is bounded: between two writes at most {@link MAX_INCIDENTS_PER_HOST} incidents per host are held. Counts of
 * the last half second may be lost by a kill; they are a report, not a ledger.
 */
export class HostReports implements Disposable {
  readonly #database: DatabaseSync
  readonly #now: () => number
  readonly #onError: (error: unknown) => void
  readonly #counts = new Map<string, Map<string, { count: number; lastAtMs: number }>>()
  readonly #incidents = new Map<string, Incident[]>()
  readonly #selectCounts: StatementSync
  readonly #selectTotals: StatementSync
  readonly #selectIncidents: StatementSync
  readonly #addCount: StatementSync
  readonly #addIncident: StatementSync
  readonly #trimIncidents: StatementSync
  #timer: NodeJS.Timeout | undefined

  constructor(
    database: DatabaseSync,
    { now, onError }: { readonly now: () => number; readonly onError: (error: unknown) => void },
  ) {
    this.#database = database
    this.#now = now
    this.#onError = onError
    this.#selectCounts = database.prepare('SELECT * FROM relay_outcome WHERE hostname = ?')
    this.#selectTotals = database.prepare(
      `SELECT outcome, reason, sum(count) AS count, max(last_at) AS last_at FROM relay_outcome
       GROUP BY outcome, reason`,
    )
    this.#selectIncidents = database.prepare(
      'SELECT * FROM relay_incident WHERE hostname = ? ORDER BY id DESC LIMIT ?',
    )
    this.#addCount = database.prepare(
      `INSERT INTO relay_outcome (hostname, outcome, reason, count, last_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (hostname, outcome, reason)
       DO UPDATE SET count = count + excluded.count, last_at = excluded.last_at`,
    )
    this.#addIncident = database.prepare(
      `INSERT INTO relay_incident (hostname, at, outcome, reason, did, seq, rev, detail)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#trimIncidents = database.prepare(
      `DELETE FROM relay_incident WHERE hostname = ?1 AND id <= (
         SELECT id FROM relay_incident WHERE hostname = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`,
    )
  }

  /** Counts an event without remembering it. */
  count(hostname: string, outcome: OutcomeKind, reason = ''): void {
    this.#count(hostname, outcome, reason)
  }

  /** Counts and remembers. */
  incident(hostname: string, incident: Omit<Incident, 'atMs'>): void {
    const atMs = this.#count(hostname, incident.outcome, incident.reason)
    let list = this.#incidents.get(hostname)
    if (list === undefined) this.#incidents.set(hostname, (list = []))
    const { detail } = incident
    list.push({
      ...incident,
      ...(detail === undefined ? {} : { detail: detail.slice(0, MAX_DETAIL_LENGTH) }),
      atMs,
    })
    if (list.length > MAX_INCIDENTS_PER_HOST) list.shift()
  }

  counts(hostname: string): readonly OutcomeCount[] {
    const stored = this.#selectCounts.all(hostname).map(toCount)
    return merge(stored, this.#waitingCounts(hostname)).toSorted((a, b) => b.count - a.count)
  }

  /** Counts of all hosts together. */
  totals(): readonly OutcomeCount[] {
    const stored = this.#selectTotals.all().map(toCount)
    return merge(
      stored,
      [...this.#counts.keys()].flatMap((hostname) => this.#waitingCounts(hostname)),
    )
  }

  /** Newest first. */
  incidents(hostname: string, limit: number): readonly Incident[] {
    const most = Math.min(limit, MAX_INCIDENTS_PER_HOST)
    const waiting = (this.#incidents.get(hostname) ?? []).toReversed().slice(0, most)
    const stored = this.#selectIncidents.all(hostname, most - waiting.length).map(toIncident)
    return [...waiting, ...stored]
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#counts.size === 0) return
    // A report is no ledger: it need not wait for the disk.
    this.#database.exec('PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE')
    try {
      for (const [hostname, counts] of this.#counts) {
        for (const [key, { count, lastAtMs }] of counts) {
          const [outcome = '', reason = ''] = key.split('\n')
          this.#addCount.run(hostname, outcome, reason, count, lastAtMs)
        }
      }
      for (const [hostname, incidents] of this.#incidents) {
        for (const { atMs, outcome, reason, did, seq, rev, detail } of incidents) {
          this.#addIncident.run(
            hostname,
            atMs,
            outcome,
            reason,
            did ?? null,
            seq ?? null,
            rev ?? null,
            detail ?? null,
          )
        }
        this.#trimIncidents.run(hostname, MAX_INCIDENTS_PER_HOST)
      }
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
    this.#counts.clear()
    this.#incidents.clear()
  }

  [Symbol.dispose](): void {
    this.flush()
  }

  #waitingCounts(hostname: string): readonly OutcomeCount[] {
    const counts = this.#counts.get(hostname) ?? new Map<string, never>()
    return [...counts].map(([key, value]) => {
      const [outcome = '', reason = ''] = key.split('\n')
      return { outcome: outcome as OutcomeKind, reason, ...value } // a key made by #count
    })
  }

  /** A failed write is tried again with the next outcome; memory stays bounded meanwhile. */
  #flushLater(): void {
    try {
      this.flush()
    } catch (error) {
      this.#onError(error)
    }
  }

  #count(hostname: string, outcome: OutcomeKind, reason: string): number {
    let counts = this.#counts.get(hostname)
    if (counts === undefined) this.#counts.set(hostname, (counts = new Map()))
    const key = `${outcome}\n${reason}`
    const lastAtMs = this.#now()
    counts.set(key, { count: (counts.get(key)?.count ?? 0) + 1, lastAtMs })
    this.#timer ??= setTimeout(() => this.#flushLater(), FLUSH_MS)
    return lastAtMs
  }
}

function toCount(row: Record<string, SQLOutputValue>): OutcomeCount {
  return {
    outcome: String(row['outcome']) as OutcomeKind, // written by HostReports.flush only
    reason: String(row['reason']),
    count: Number(row['count']),
    lastAtMs: Number(row['last_at']),
  }
}

function toIncident(row: Record<string, SQLOutputValue>): Incident {
  return {
    atMs: Number(row['at']),
    outcome: String(row['outcome']) as Incident['outcome'], // written by HostReports.flush only
    reason: String(row['reason']),
    ...(row['did'] === null ? {} : { did: String(row['did']) }),
    ...(row['seq'] === null ? {} : { seq: Number(row['seq']) }),
    ...(row['rev'] === null ? {} : { rev: String(row['rev']) }),
    ...(row['detail'] === null ? {} : { detail: String(row['detail']) }),
  }
}

/** Adds up what has the same outcome and reason. */
function merge(...lists: readonly (readonly OutcomeCount[])[]): readonly OutcomeCount[] {
  const sums = new Map<string, OutcomeCount>()
  for (const one of lists.flat()) {
    const key = `${one.outcome}\n${one.reason}`
    const sum = sums.get(key)
    sums.set(key, {
      ...one,
      count: one.count + (sum?.count ?? 0),
      lastAtMs: Math.max(one.lastAtMs, sum?.lastAtMs ?? 0),
    })
  }
  return [...sums.values()]
}
