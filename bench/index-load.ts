import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import {
  collection,
  did,
  text,
  uri,
  type IndexEvent,
  type SnapshotRecord,
} from '@skywright/appview-indexer'
import { fabricateRecord } from '@skywright/appview-indexer/testing'
import { cidFromBytes, decodeCbor, formatTid } from '@skywright/repo'

const POST = 'app.bsky.feed.post'
const LIKE = 'app.bsky.feed.like'
const FOLLOW = 'app.bsky.graph.follow'

/** Rows, backlinks, counters and full-text search over the three collections that make up most of the network. */
export const collections = {
  post: collection(POST, {
    columns: { text: text('text'), parent: uri('reply.parent'), root: uri('reply.root') },
    counters: { postsCount: 'did', replyCount: 'parent' },
    search: ['text'],
    indexes: [['did', '-sortAt'], ['root']],
  }),
  like: collection(LIKE, {
    layout: 'edge',
    columns: { subject: uri('subject', { required: true }) },
    unique: ['subject'],
    counters: { likeCount: 'subject' },
  }),
  follow: collection(FOLLOW, {
    layout: 'edge',
    columns: { subject: did('subject', { required: true }) },
    unique: ['subject'],
    counters: { followersCount: 'subject', followsCount: 'did' },
  }),
} as const

const WORDS =
  'the quick brown fox jumps over a lazy dog while rain falls on quiet streets of town'.split(' ')
const SUBJECT_CID = 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'

/** A network that repeats itself exactly: 65 % likes, 15 % follows, 20 % posts, most likes on recent posts. */
export class RecordStream {
  readonly accounts: readonly string[] = Array.from(
    { length: 20_000 },
    (_, n) => `did:plc:${n.toString(32).padStart(24, 'a')}`,
  )
  readonly #posts: string[] = []
  #seed = 42
  #micros = 1_767_225_600_000_000

  random(limit: number): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((this.#seed / 2 ** 32) * limit)
  }

  account(): string {
    return this.accounts[this.random(this.accounts.length)] ?? ''
  }

  tid(): string {
    this.#micros += 997
    return formatTid({ timestampMicros: BigInt(this.#micros), clockId: 1 })
  }

  record(author: string): SnapshotRecord {
    const rkey = this.tid()
    const createdAt = new Date(this.#micros / 1000).toISOString()
    const kind = this.random(100)
    if (kind < 65 && this.#posts.length > 0) {
      const age = Math.floor((this.random(1000) ** 2 / 1e6) * this.#posts.length)
      const target = this.#posts[this.#posts.length - 1 - age] ?? ''
      return fabricateRecord(LIKE, rkey, { subject: { uri: target, cid: SUBJECT_CID }, createdAt })
    }
    if (kind < 80) return fabricateRecord(FOLLOW, rkey, { subject: this.account(), createdAt })
    this.#posts.push(`at://${author}/${POST}/${rkey}`)
    const words = Array.from({ length: 15 }, () => WORDS[this.random(WORDS.length)]).join(' ')
    return fabricateRecord(POST, rkey, { text: words, createdAt, langs: ['en'] })
  }

  /** `count` commits of one record each, over all accounts. */
  commits(count: number): IndexEvent[] {
    const revs = new Map<string, string>()
    return Array.from({ length: count }, (_, n): IndexEvent => {
      const author = this.account()
      const made = this.record(author)
      const rev = this.tid()
      const since = revs.get(author) ?? null
      revs.set(author, rev)
      return {
        type: 'commit',
        seq: n + 1,
        did: author,
        rev,
        since,
        ops: [{ action: 'create', ...made }],
      }
    })
  }
}

/**
 * What an AppView written by hand in an afternoon does: a table a collection, one upsert a record, one for the cursor,
 * each its own transaction, WAL. No links, no counters, no search, no revs.
 */
export class HandWrittenIndex implements Disposable {
  readonly #database: Database.Database
  readonly #upserts: ReadonlyMap<string, Database.Statement>
  readonly #cursor: Database.Statement

  constructor(path: string) {
    this.#database = new Database(path)
    this.#database.pragma('journal_mode = WAL')
    this.#database.exec(`
      create table post (uri text primary key, did text, cid text, text text, parent text, root text, createdAt text, indexedAt text);
      create table "like" (uri text primary key, did text, cid text, subject text, createdAt text, indexedAt text);
      create table follow (uri text primary key, did text, cid text, subject text, createdAt text, indexedAt text);
      create index post_did on post (did, createdAt); create index like_subject on "like" (subject); create index follow_subject on follow (subject);
      create table cursor (id integer primary key, seq integer);
    `)
    this.#upserts = new Map([
      [
        POST,
        this.#database.prepare(
          'insert into post values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (uri) do update set cid = excluded.cid, text = excluded.text',
        ),
      ],
      [
        LIKE,
        this.#database.prepare(
          'insert into "like" values (?, ?, ?, ?, ?, ?) on conflict (uri) do update set cid = excluded.cid',
        ),
      ],
      [
        FOLLOW,
        this.#database.prepare(
          'insert into follow values (?, ?, ?, ?, ?, ?) on conflict (uri) do update set cid = excluded.cid',
        ),
      ],
    ])
    this.#cursor = this.#database.prepare(
      'insert into cursor values (1, ?) on conflict (id) do update set seq = excluded.seq',
    )
  }

  write(
    author: string,
    { collection: nsid, rkey, cid, record: bytes }: SnapshotRecord,
    seq: number,
  ): void {
    const record = decodeCbor(bytes) as Record<string, unknown>
    const uriOf = `at://${author}/${nsid}/${rkey}`
    const now = new Date().toISOString()
    const cidText = cidFromBytes(cid).toString()
    const upsert = this.#upserts.get(nsid)
    if (nsid === POST)
      upsert?.run(uriOf, author, cidText, record['text'], null, null, record['createdAt'], now)
    else {
      const subject = record['subject']
      const target =
        typeof subject === 'string' ? subject : (subject as { readonly uri: string }).uri
      upsert?.run(uriOf, author, cidText, target, record['createdAt'], now)
    }
    this.#cursor.run(seq)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }
}

/** Runs `work` on a database file of its own; gives milliseconds. */
export async function timeOnFile(work: (path: string) => unknown): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'skywright-index-'))
  try {
    const started = performance.now()
    await work(join(folder, 'index.db'))
    return performance.now() - started
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
