import Database from 'better-sqlite3'
import { Client } from 'pg'
import type { SnapshotRecord } from '@skywright/appview-indexer'
import { cidFromBytes, decodeCbor } from '@skywright/repo'
import { FOLLOW, LIKE, POST } from './index-load.ts'

/** Tables of an AppView written by hand in an afternoon. */
export const HAND_WRITTEN_TABLES = `
  create table post (uri text primary key, did text, cid text, text text, parent text, root text, "createdAt" text, "indexedAt" text);
  create table "like" (uri text primary key, did text, cid text, subject text, "createdAt" text, "indexedAt" text);
  create table follow (uri text primary key, did text, cid text, subject text, "createdAt" text, "indexedAt" text);
  create index post_did on post (did, "createdAt");
  create index like_subject on "like" (subject);
  create index follow_subject on follow (subject);
  create table cursor (id integer primary key, seq bigint);
`

/** A record as such an AppView stores it. */
export interface HandWrittenRow {
  readonly table: 'post' | 'like' | 'follow'
  readonly uri: string
  readonly did: string
  readonly cid: string
  readonly subject: string | undefined
  readonly text: string | undefined
  readonly createdAt: string
  readonly indexedAt: string
}

const TABLES = { [POST]: 'post', [LIKE]: 'like', [FOLLOW]: 'follow' } as const

/** Decodes a record to a row. */
export function handWrittenRow(author: string, made: SnapshotRecord): HandWrittenRow {
  const record = decodeCbor(made.record) as Record<string, unknown>
  const { subject } = record
  const table = (TABLES as Record<string, HandWrittenRow['table']>)[made.collection]
  if (table === undefined) throw new TypeError(`no table for ${made.collection}`)
  return {
    table,
    uri: `at://${author}/${made.collection}/${made.rkey}`,
    did: author,
    cid: cidFromBytes(made.cid).toString(),
    subject:
      typeof subject === 'string'
        ? subject
        : (subject as { readonly uri: string } | undefined)?.uri,
    text: record['text'] as string | undefined,
    createdAt: String(record['createdAt']),
    indexedAt: new Date().toISOString(),
  }
}

/** Opens a database as the indexer's store does. */
export function openHandWritten(path: string): Database.Database {
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  database.exec(HAND_WRITTEN_TABLES)
  return database
}

/** One upsert a record and one of the cursor, each its own transaction. No links, counters, search, revs. */
export class HandWrittenIndex implements Disposable {
  readonly database: Database.Database
  readonly #upserts: Readonly<Record<HandWrittenRow['table'], Database.Statement>>
  readonly #cursor: Database.Statement

  constructor(path: string) {
    this.database = openHandWritten(path)
    const edge = (table: string): Database.Statement =>
      this.database.prepare(
        `insert into "${table}" values (?, ?, ?, ?, ?, ?) on conflict (uri) do update set cid = excluded.cid`,
      )
    this.#upserts = {
      post: this.database.prepare(
        'insert into post values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (uri) do update set cid = excluded.cid, text = excluded.text',
      ),
      like: edge('like'),
      follow: edge('follow'),
    }
    this.#cursor = this.database.prepare(
      'insert into cursor values (1, ?) on conflict (id) do update set seq = excluded.seq',
    )
  }

  write(author: string, record: SnapshotRecord, seq: number): void {
    this.put(handWrittenRow(author, record))
    this.setCursor(seq)
  }

  put({ table, uri, did, cid, subject, text, createdAt, indexedAt }: HandWrittenRow): void {
    if (table === 'post')
      this.#upserts.post.run(uri, did, cid, text, null, null, createdAt, indexedAt)
    else this.#upserts[table].run(uri, did, cid, subject, createdAt, indexedAt)
  }

  setCursor(seq: number): void {
    this.#cursor.run(seq)
  }

  [Symbol.dispose](): void {
    this.database.close()
  }
}

/**
 * The same with what the indexer keeps too: backlinks, counters, full-text search, the rev of each repo. All of an event
 * in one transaction, so that a crash leaves nothing half-done.
 */
export class HandWrittenLinkedIndex implements Disposable {
  readonly #rows: HandWrittenIndex
  readonly #write: (author: string, made: SnapshotRecord, rev: string, seq: number) => void

  constructor(path: string) {
    this.#rows = new HandWrittenIndex(path)
    const { database } = this.#rows
    database.exec(`
      create table link (target text, path text, source text, primary key (target, path, source)) without rowid;
      create table counter (subject text, name text, n integer, primary key (subject, name)) without rowid;
      create table repo (did text primary key, rev text) without rowid;
      create virtual table search using fts5 (text, content = '', contentless_delete = 1);
    `)
    const known = database.prepare(
      'select 1 from link where target = ? and path = ? and source = ?',
    )
    const link = database.prepare('insert into link values (?, ?, ?) on conflict do nothing')
    const count = database.prepare(
      'insert into counter values (?, ?, 1) on conflict (subject, name) do update set n = n + 1',
    )
    const search = database.prepare('insert into search (rowid, text) values (?, ?)')
    const rowid = database.prepare('select rowid from post where uri = ?').pluck()
    const repo = database.prepare(
      'insert into repo values (?, ?) on conflict (did) do update set rev = excluded.rev',
    )
    this.#write = database.transaction(
      (author: string, made: SnapshotRecord, rev: string, seq: number) => {
        const row = handWrittenRow(author, made)
        const { table, uri, subject, text } = row
        this.#rows.put(row)
        if (subject !== undefined && known.get(subject, table, uri) === undefined) {
          link.run(subject, table, uri)
          count.run(subject, table)
        }
        if (table !== 'like') count.run(author, `${table}s`)
        if (table === 'post') search.run(rowid.get(uri), text)
        repo.run(author, rev)
        this.#rows.setCursor(seq)
      },
    )
  }

  write(author: string, made: SnapshotRecord, rev: string, seq: number): void {
    this.#write(author, made, rev, seq)
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]()
  }
}

/** The same on Postgres: one upsert a record and one of the cursor, each awaited and its own transaction. */
export class HandWrittenPostgres implements AsyncDisposable {
  readonly #client: Client

  private constructor(client: Client) {
    this.#client = client
  }

  static async open(connectionString: string): Promise<HandWrittenPostgres> {
    const client = new Client({ connectionString })
    await client.connect()
    await client.query(
      HAND_WRITTEN_TABLES.replaceAll('create table', 'create table if not exists').replaceAll(
        'create index',
        'create index if not exists',
      ),
    )
    return new HandWrittenPostgres(client)
  }

  async put(author: string, made: SnapshotRecord): Promise<void> {
    const row = handWrittenRow(author, made)
    const { table, uri, did, cid, subject, text, createdAt, indexedAt } = row
    const values =
      table === 'post'
        ? [uri, did, cid, text, null, null, createdAt, indexedAt]
        : [uri, did, cid, subject, createdAt, indexedAt]
    await this.#client.query({
      name: table,
      text: `insert into "${table}" values (${values.map((_, at) => `$${at + 1}`).join(', ')}) on conflict (uri) do update set cid = excluded.cid`,
      values,
    })
  }

  async write(author: string, made: SnapshotRecord, seq: number): Promise<void> {
    await this.put(author, made)
    await this.#client.query({
      name: 'cursor',
      text: 'insert into cursor values (1, $1) on conflict (id) do update set seq = excluded.seq',
      values: [seq],
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end()
  }
}
