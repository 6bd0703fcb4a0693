import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { AccountRecord, HostRecord, Page } from '@skywright/firehose/relay'
import { InvalidRequestError } from '@skywright/xrpc'
import { type RepoHead, toAccount, toHost } from './tables.ts'

/** A repository whose newest commit is known. */
export interface KnownRepo {
  readonly account: AccountRecord
  readonly head: RepoHead
}

export interface PageOptions {
  readonly limit: number
  readonly cursor?: string | undefined
}

/** Longest host name with a port, and some room. */
const MAX_HOST_KEY_LENGTH = 300
/** Of any method: whatever an event can name. {@link https://atproto.com/specs/did#did-identifier-syntax} */
const DID = /^did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]$/
const MAX_DID_LENGTH = 2_048

/** The lists that anybody may page through, in orders in which what is new comes last or in its place, and none twice. */
export class PublicLists {
  readonly #hosts: StatementSync
  readonly #repos: StatementSync

  constructor(database: DatabaseSync) {
    this.#hosts = database.prepare(
      `SELECT * FROM relay_host WHERE (added_at, hostname) > (?, ?)
       ORDER BY added_at, hostname LIMIT ?`,
    )
    this.#repos = database.prepare(
      `SELECT a.*, l.rev AS listed_rev, l.head AS listed_head
       FROM relay_account a LEFT JOIN relay_listed l ON l.did = a.did
       WHERE a.did > ? AND (a.commit_cid IS NOT NULL OR l.did IS NOT NULL)
       ORDER BY a.did LIMIT ?`,
    )
  }

  /**
   * Hosts, the one known longest first, so that whoever kept the last cursor finds the new ones behind it.
   *
   * @throws {InvalidRequestError} when the cursor is none of this list
   */
  listHosts({ limit, cursor }: PageOptions): Page<HostRecord> {
    const { addedAtMs, hostname } = parseHostCursor(cursor)
    const items = this.#hosts.all(addedAtMs, hostname, limit).map(toHost)
    return toPage(items, limit, (last) => `${String(last.addedAtMs)}/${last.hostname}`)
  }

  /**
   * Repositories whose newest commit is known, from the stream or else from their host's listing, by DID.
   *
   * @throws {InvalidRequestError} when the cursor is none of this list
   */
  listRepos({ limit, cursor }: PageOptions): Page<KnownRepo> {
    const items = this.#repos.all(parseDidCursor(cursor), limit).map((row) => {
      const account = toAccount(row)
      const { chain } = account
      const head =
        chain === undefined
          ? { cid: String(row['listed_head']), rev: String(row['listed_rev']) }
          : { cid: chain.commit, rev: chain.rev }
      return { account, head }
    })
    return toPage(items, limit, ({ account }) => account.did)
  }
}

/**
 * The DID behind which a list ordered by DIDs goes on; empty at its beginning. A cursor of another service must not pass
 * for a place in this list: its owner would take the end for the end of everything.
 *
 * @throws {InvalidRequestError}
 */
export function parseDidCursor(cursor: string | undefined): string {
  if (cursor === undefined) return ''
  if (cursor.length > MAX_DID_LENGTH || !DID.test(cursor)) throw badCursor()
  return cursor
}

function parseHostCursor(cursor: string | undefined): {
  readonly addedAtMs: number
  readonly hostname: string
} {
  if (cursor === undefined) return { addedAtMs: -1, hostname: '' }
  const [, ms = '', hostname = ''] = /^(\d{1,15})\/([a-z0-9.:-]+)$/.exec(cursor) ?? []
  if (ms === '' || hostname.length > MAX_HOST_KEY_LENGTH) throw badCursor()
  return { addedAtMs: Number(ms), hostname }
}

function badCursor(): InvalidRequestError {
  return new InvalidRequestError('cursor is none that this method gave')
}

function toPage<T>(items: readonly T[], limit: number, cursorOf: (last: T) => string): Page<T> {
  const last = items.at(-1)
  return { items, cursor: items.length < limit || last === undefined ? undefined : cursorOf(last) }
}
