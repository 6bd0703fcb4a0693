import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  collection,
  did,
  openIndexer,
  text,
  uri,
  type EventSource,
  type IndexEvent,
  type SnapshotRecord,
  type SourcedEvent,
} from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { formatTid } from '@skywright/repo'
import { encodeCbor } from '@skywright/repo/cbor'
import { median } from './row.ts'

export const POST = 'app.bsky.feed.post'
export const LIKE = 'app.bsky.feed.like'
export const FOLLOW = 'app.bsky.graph.follow'

/** An event of the stream: one commit. */
export type CommitEvent = Extract<IndexEvent, { readonly type: 'commit' }>

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
/** Posts that are still liked. */
const RECENT_POSTS = 50_000

/**
 * A network that repeats itself exactly: 65 % likes, 15 % follows, 20 % posts, most likes on recent posts. Fast enough
 * to make ten million records: likes and follows are stamped from a template, and CIDs are not the records' own.
 */
export class RecordStream {
  readonly accounts: readonly string[]
  readonly #posts: string[] = []
  #postCount = 0
  #seed: number
  #micros = 1_767_225_600_000_000
  readonly #revs = new Map<string, string>()
  readonly #like: RecordTemplate
  readonly #follow: RecordTemplate

  constructor(options: { readonly seed?: number; readonly accounts?: number } = {}) {
    const { seed = 42, accounts = 20_000 } = options
    this.#seed = seed
    this.accounts = Array.from({ length: accounts }, (_, n) => {
      const id = (n + seed * 1_000_000).toString(32).padStart(24, 'a')
      return `did:plc:${id}`
    })
    const did = this.accounts[0] ?? ''
    const uriOf = `at://${did}/${POST}/3lkaaaaaaaaaa`
    this.#like = new RecordTemplate(
      { $type: LIKE, subject: { uri: uriOf, cid: SUBJECT_CID }, createdAt: CREATED_AT },
      [uriOf, CREATED_AT],
    )
    this.#follow = new RecordTemplate({ $type: FOLLOW, subject: did, createdAt: CREATED_AT }, [
      did,
      CREATED_AT,
    ])
  }

  random(limit: number): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((this.#seed / 2 ** 32) * limit)
  }

  account(): string {
    return this.accounts[this.random(this.accounts.length)] ?? ''
  }

  /** A post that likes may be on; most often a recent one. */
  post(): string | undefined {
    const { length } = this.#posts
    const age = Math.floor((this.random(1000) ** 2 / 1e6) * length)
    return this.#posts[(this.#postCount - 1 - age + length) % length]
  }

  tid(): string {
    this.#micros += 997
    return formatTid({ timestampMicros: BigInt(this.#micros), clockId: 1 })
  }

  record(author: string): SnapshotRecord {
    const rkey = this.tid()
    const createdAt = new Date(this.#micros / 1000).toISOString()
    const kind = this.random(100)
    const cid = this.#cid()
    const target = kind < 65 ? this.post() : undefined
    if (target !== undefined)
      return { collection: LIKE, rkey, cid, record: this.#like.stamp([target, createdAt]) }
    if (kind < 80) return this.follow(this.account())
    this.#posts[this.#postCount++ % RECENT_POSTS] = `at://${author}/${POST}/${rkey}`
    const words = Array.from({ length: 15 }, () => WORDS[this.random(WORDS.length)]).join(' ')
    const record = encodeCbor({ $type: POST, text: words, createdAt, langs: ['en'] })
    return { collection: POST, rkey, cid, record }
  }

  follow(subject: string): SnapshotRecord {
    const createdAt = new Date(this.#micros / 1000).toISOString()
    const record = this.#follow.stamp([subject, createdAt])
    return { collection: FOLLOW, rkey: this.tid(), cid: this.#cid(), record }
  }

  /** The next commit, of one record. */
  commit(seq: number): CommitEvent {
    const did = this.account()
    const made = this.record(did)
    const rev = this.tid()
    const since = this.#revs.get(did) ?? null
    this.#revs.set(did, rev)
    return { type: 'commit', seq, did, rev, since, ops: [{ action: 'create', ...made }] }
  }

  commits(count: number): CommitEvent[] {
    return Array.from({ length: count }, (_, n) => this.commit(n + 1))
  }

  #cid(): Uint8Array {
    const cid = new Uint8Array(36)
    cid.set([1, 0x71, 0x12, 0x20])
    for (let at = 4; at < 36; at++) cid[at] = this.random(256)
    return cid
  }
}

const CREATED_AT = '2026-01-01T00:00:00.000Z'

/** Encoded once; texts of the same length are written over those of the example. */
class RecordTemplate {
  readonly #bytes: Buffer
  readonly #places: readonly { readonly at: number; readonly length: number }[]

  constructor(example: Readonly<Record<string, unknown>>, texts: readonly string[]) {
    this.#bytes = Buffer.from(encodeCbor(example))
    this.#places = texts.map((text) => ({ at: this.#bytes.indexOf(text), length: text.length }))
  }

  stamp(texts: readonly string[]): Uint8Array {
    const bytes = Buffer.from(this.#bytes)
    this.#places.forEach(({ at, length }, index) => {
      const text = texts[index] ?? ''
      if (text.length !== length) throw new RangeError(`the template has no room for ${text}`)
      bytes.write(text, at, 'latin1')
    })
    return bytes
  }
}

/** The one record of a commit of {@link RecordStream}. */
export function recordOf(event: CommitEvent): SnapshotRecord {
  const { collection, rkey, cid, record } = event.ops[0] ?? {}
  if (collection === undefined || rkey === undefined || cid === undefined || record === undefined)
    throw new TypeError('one created record was expected')
  return { collection, rkey, cid, record }
}

/** Repos of `count` records each, by DID. */
export function snapshotsOf(
  stream: RecordStream,
  dids: readonly string[],
  count: number,
): Map<
  string,
  { readonly did: string; readonly rev: string; readonly records: readonly SnapshotRecord[] }
> {
  return new Map(
    dids.map((did) => [
      did,
      { did, rev: stream.tid(), records: Array.from({ length: count }, () => stream.record(did)) },
    ]),
  )
}

/** Events at hand as a source that ends. */
export function sourceOf(
  events: Iterable<SourcedEvent> | AsyncIterable<SourcedEvent>,
): EventSource {
  return {
    name: 'bench',
    async *events() {
      yield* events
    },
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

const COMMITS = 30_000
const ROUNDS = 3

/** Commits a second of the indexer and of a rival, each on a new file a round, in turn. */
export async function raceLive(
  rivalRun: (path: string, events: readonly CommitEvent[]) => unknown,
): Promise<{ ours: number; rival: number; note: string }> {
  const events = new RecordStream().commits(COMMITS)
  const ours: number[] = []
  const rival: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(
      await timeOnFile(async (path) => {
        await using index = await openIndexer({ store: openSqliteIndexStore(path), collections })
        await index.run(sourceOf(events))
      }),
    )
    rival.push(await timeOnFile((path) => rivalRun(path, events)))
  }
  return {
    ours: (COMMITS / median(ours)) * 1000,
    rival: (COMMITS / median(rival)) * 1000,
    note: `${COMMITS.toLocaleString('en-US')} commits as they come from memory, decoding included, verification not; both WAL, synchronous=NORMAL`,
  }
}
