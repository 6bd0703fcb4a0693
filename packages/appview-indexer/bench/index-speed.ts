/**
 * Events a second live, records a second in backfill, bytes on disk a like. Run:
 * `node --conditions=@skywright/source packages/appview-indexer/bench/index-speed.ts [live|backfill|bytes|reads]`
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { formatTid } from '@skywright/repo'

import { collection, did, didOf, openIndexer, text, uri } from '../src/index.ts'
import type { IndexEvent, SnapshotRecord } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { fabricateRecord } from '../src/testing/index.ts'

const POST = 'app.bsky.feed.post'
const LIKE = 'app.bsky.feed.like'
const FOLLOW = 'app.bsky.graph.follow'
const subject = uri('subject', { required: true })
const collections = {
  post: collection(POST, {
    columns: { text: text('text'), parent: uri('reply.parent'), root: uri('reply.root') },
    counters: { postsCount: 'did', replyCount: 'parent' },
    search: ['text'],
    indexes: [['did', '-sortAt'], ['root']],
  }),
  like: collection(LIKE, {
    layout: 'edge',
    columns: { subject },
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
void didOf

const WORDS =
  'the quick brown fox jumps over a lazy dog while rain falls on quiet streets of town'.split(' ')
let seed = 42
function random(limit: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
  return Math.floor((seed / 2 ** 32) * limit)
}
let micros = 1_767_225_600_000_000
function tid(): string {
  micros += 997
  return formatTid({ timestampMicros: BigInt(micros), clockId: 1 })
}
const accounts = Array.from(
  { length: 20_000 },
  (_, n) => `did:plc:${n.toString(32).padStart(24, 'a')}`,
)
const cid = 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const posts: string[] = accounts.slice(0, 5_000).map((author) => `at://${author}/${POST}/${tid()}`)

function makeRecord(author: string, kind = random(100)): SnapshotRecord {
  const rkey = tid()
  const createdAt = new Date(micros / 1000).toISOString()
  if (kind < 65) {
    const target =
      posts[posts.length - 1 - Math.floor((random(1000) ** 2 / 1e6) * posts.length)] ?? ''
    return fabricateRecord(LIKE, rkey, { subject: { uri: target, cid }, createdAt })
  }
  if (kind < 80)
    return fabricateRecord(FOLLOW, rkey, { subject: accounts[random(accounts.length)], createdAt })
  posts.push(`at://${author}/${POST}/${rkey}`)
  const words = Array.from({ length: 15 }, () => WORDS[random(WORDS.length)]).join(' ')
  return fabricateRecord(POST, rkey, { text: words, createdAt, langs: ['en'] })
}

async function live(): Promise<void> {
  const events: IndexEvent[] = []
  const revs = new Map<string, string>()
  for (let seq = 1; seq <= 60_000; seq++) {
    const author = accounts[random(accounts.length)] ?? ''
    const made = makeRecord(author)
    const rev = tid()
    events.push({
      type: 'commit',
      seq,
      did: author,
      rev,
      since: revs.get(author) ?? null,
      ops: [{ action: 'create', ...made }],
    })
    revs.set(author, rev)
  }
  await timed('live: one commit, one record', events.length, 'commits', async (path) => {
    await using index = await openIndexer({ store: openSqliteIndexStore(path), collections })
    await index.run({
      name: 'bench',
      async *events() {
        yield* events
      },
    })
  })
}

async function backfill(): Promise<void> {
  const repos = accounts.slice(0, 2_000).map((author) => ({
    did: author,
    rev: tid(),
    records: Array.from({ length: 100 }, () => makeRecord(author)),
  }))
  const byDid = new Map(repos.map((repo) => [repo.did, repo]))
  await timed('backfill: 2,000 repos of 100', repos.length * 100, 'records', async (path) => {
    await using index = await openIndexer({
      store: openSqliteIndexStore(path),
      collections,
      fetchRepo: async (author) => ({ kind: 'snapshot', snapshot: byDid.get(author)! }),
    })
    await index.backfill({ repos: byDid.keys() })
  })
}

async function bytes(): Promise<void> {
  const likes = 500_000
  const { like } = collections
  await timed('live likes, bytes on disk', likes, 'likes', async (path) => {
    await using index = await openIndexer({
      store: openSqliteIndexStore(path),
      collections: { like },
    })
    for (let at = 0; at < likes; at += 500)
      await index.apply(
        Array.from({ length: 500 }, (_, n): IndexEvent => {
          const author = accounts[random(accounts.length)] ?? ''
          return {
            type: 'commit',
            seq: at + n + 1,
            did: author,
            rev: tid(),
            ops: [{ action: 'create', ...makeRecord(author, 0) }],
          }
        }),
      )
  })
}

/** Reads over a big index: time line pages of an account that follows 500 of 5,000, and backlink counts. */
async function reads(): Promise<void> {
  const rows = Number(process.env['ROWS'] ?? 300_000)
  const folder = mkdtempSync(join(tmpdir(), 'index-speed-'))
  const authors = accounts.slice(0, 5_000)
  const viewer = accounts[19_999] ?? ''
  await using index = await openIndexer({
    store: openSqliteIndexStore(join(folder, 'index.db')),
    collections,
  })
  const put = (author: string, made: SnapshotRecord): IndexEvent => ({
    type: 'commit',
    seq: 1,
    did: author,
    rev: tid(),
    ops: [{ action: 'create', ...made }],
  })
  for (let n = 0; n < 500; n++)
    await index.apply([put(viewer, fabricateRecord(FOLLOW, tid(), { subject: authors[n * 10] }))])
  for (let at = 0; at < rows; at += 1_000)
    await index.apply(
      Array.from({ length: 1_000 }, (_, n) => {
        const author = authors[random(authors.length)] ?? ''
        return put(author, makeRecord(author, n % 10 === 0 ? 0 : 90))
      }),
    )
  await measure(`time line page of 50 over ${rows} rows`, 300, async () => {
    let cursor: string | undefined
    for (let page = random(4); page >= 0; page--)
      ({ cursor } = await index.timeline({
        from: ['post'],
        authors: { of: viewer, edge: 'follow', column: 'subject' },
        limit: 50,
        cursor,
      }))
  })
  await measure('count of backlinks', 1_000, async () => {
    const target = posts[random(posts.length)] ?? ''
    await index.countBacklinks({ target, from: 'like', path: 'subject' })
  })
  rmSync(folder, { recursive: true })
}

async function measure(name: string, times: number, work: () => Promise<void>): Promise<void> {
  const taken: number[] = []
  for (let n = 0; n < times; n++) {
    const started = performance.now()
    await work()
    taken.push(performance.now() - started)
  }
  taken.sort((left, right) => left - right)
  const at = (share: number): string => (taken[Math.floor(times * share)] ?? 0).toFixed(2)
  process.stdout.write(`${name}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`)
}

async function timed(
  name: string,
  count: number,
  unit: string,
  work: (path: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'index-speed-'))
  const path = join(folder, 'index.db')
  const started = performance.now()
  const before = process.cpuUsage()
  await work(path)
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(before)
  const size = statSync(path).size
  rmSync(folder, { recursive: true })
  process.stdout.write(
    `${name}: ${Math.round(count / seconds)} ${unit}/s (${Math.round((count / (user + system)) * 1e6)} a CPU second), ${(size / count).toFixed(1)} bytes each, rss ${Math.round(process.memoryUsage().rss / 1e6)} MB\n`,
  )
}

const all: Record<string, () => Promise<void>> = { live, backfill, bytes, reads }
const wanted = process.argv.slice(2)
for (const [name, run] of Object.entries(all))
  if (wanted.length === 0 || wanted.includes(name)) await run()
