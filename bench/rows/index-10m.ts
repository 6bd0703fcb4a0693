import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openIndexer, type IndexEvent, type Indexer } from '@skywright/appview-indexer'
import { openSqliteIndexStore } from '@skywright/appview-indexer/sqlite'
import { FOLLOW, collections, recordOf, RecordStream, snapshotsOf } from '../index-load.ts'
import { HandWrittenIndex } from '../index-rivals.ts'
import { percentile, type Suite, type SuiteResult } from '../row.ts'

/** `INDEX_ROWS=1000000` makes a quick try of it. */
const ROWS = Number(process.env['INDEX_ROWS'] ?? 10_000_000)
const STEPS = 10
const REPO_RECORDS = 100
/** Repos in one transaction. */
const PART_REPOS = 20
const LIVE_COMMITS = 20_000
const FOLLOWED = 500
const PAGES = 500
const COUNTS = 2_000
const PAGE_ROWS = 50

type BenchIndexer = Indexer<typeof collections>

/** A stream whose records are those of repos, made anew for a second database: both hold the same. */
function createStream(): RecordStream {
  return new RecordStream({ accounts: ROWS / STEPS / REPO_RECORDS })
}

interface Viewed {
  readonly viewer: string
  readonly followed: readonly string[]
  readonly posts: readonly string[]
}

function viewedBy(stream: RecordStream): Viewed {
  const viewer = 'did:plc:viewerviewerviewerviewer'
  const followed = Array.from({ length: FOLLOWED }, () => stream.account())
  const posts = Array.from({ length: COUNTS }, () => stream.post() ?? '')
  return { viewer, followed: [...new Set(followed)], posts }
}

/** Records a second of each tenth: of whole repos, and of a live stream on top; and CPU microseconds a record. */
interface Curve {
  readonly backfill: number[]
  readonly backfillCpu: number[]
  readonly live: number[]
  readonly liveCpu: number[]
}

/** Milliseconds that passed, and CPU microseconds: those tell the same on a machine that others use too. */
class Clock {
  ms = 0
  cpu = 0

  async time(work: () => Promise<unknown>): Promise<void> {
    const cpu = process.cpuUsage()
    const started = performance.now()
    await work()
    this.ms += performance.now() - started
    const { user, system } = process.cpuUsage(cpu)
    this.cpu += user + system
  }
}

/** How far it is, for whoever waits: many minutes pass before there is a result. */
function tell(line: string): void {
  console.error(`${new Date().toISOString()} ${line}`)
}

async function fill(index: BenchIndexer, stream: RecordStream, curve: Curve): Promise<void> {
  let seq = 0
  for (let step = 0; step < STEPS; step++) {
    const bulk = new Clock()
    // A part at a time: ten million records do not lie in memory.
    for (let at = 0; at < stream.accounts.length; at += PART_REPOS) {
      const repos = snapshotsOf(stream, stream.accounts.slice(at, at + PART_REPOS), REPO_RECORDS)
      const events = [...repos.values()].map(({ did, rev, records }): IndexEvent => {
        const ops = records.map((record) => ({ action: 'create' as const, ...record }))
        return { type: 'commit', seq: ++seq, did, rev, ops }
      })
      await bulk.time(() => index.apply(events))
    }
    curve.backfill.push((ROWS / STEPS / bulk.ms) * 1000)
    curve.backfillCpu.push((bulk.cpu * STEPS) / ROWS)
    const commits = stream.commits(LIVE_COMMITS)
    const live = new Clock()
    for (let at = 0; at < commits.length; at += 1_000)
      await live.time(() => index.apply(commits.slice(at, at + 1_000)))
    curve.live.push((LIVE_COMMITS / live.ms) * 1000)
    curve.liveCpu.push(live.cpu / LIVE_COMMITS)
    tell(
      `tenth ${step + 1}: a record ${(bulk.ms * 1000 * STEPS) / ROWS} µs, CPU ${curve.backfillCpu.at(-1)}; a commit ${(live.ms * 1000) / LIVE_COMMITS} µs, CPU ${curve.liveCpu.at(-1)}`,
    )
  }
}

function fillRival(index: HandWrittenIndex, stream: RecordStream, viewed: Viewed): void {
  for (let step = 0; step < STEPS; step++) {
    for (let at = 0; at < stream.accounts.length; at += PART_REPOS)
      index.database.transaction(() => {
        const repos = snapshotsOf(stream, stream.accounts.slice(at, at + PART_REPOS), REPO_RECORDS)
        for (const { did, records } of repos.values())
          for (const record of records) index.write(did, record, 0)
      })()
    index.database.transaction(() => {
      for (const event of stream.commits(LIVE_COMMITS))
        index.write(event.did, recordOf(event), event.seq)
    })()
  }
  const follow = index.database.prepare('insert into follow values (?, ?, ?, ?, ?, ?)')
  for (const [n, did] of viewed.followed.entries())
    follow.run(`at://${viewed.viewer}/${FOLLOW}/${n}`, viewed.viewer, '', did, '', '')
  index.database.exec('create index follow_did on follow (did)')
}

/** Milliseconds of each run, and of CPU time of each. */
async function timesOf(
  count: number,
  work: (n: number) => unknown,
): Promise<{ readonly ms: number[]; readonly cpuMs: number[] }> {
  const times = { ms: [] as number[], cpuMs: [] as number[] }
  for (let n = 0; n < count; n++) {
    const clock = new Clock()
    await clock.time(async () => work(n))
    times.ms.push(clock.ms)
    times.cpuMs.push(clock.cpu / 1000)
  }
  return times
}

const words = (rates: readonly number[], cpu: readonly number[]): string =>
  `µs, tenth by tenth: ${rates.map((rate) => (1_000_000 / rate).toFixed(1)).join(', ')}; of CPU time: ${cpu.map((us) => us.toFixed(1)).join(', ')}`
const million = (ROWS / 1e6).toLocaleString('en-US')

export const suite: Suite = {
  async measure() {
    const folder = mkdtempSync(join(tmpdir(), 'skywright-index-'))
    const curve: Curve = { backfill: [], backfillCpu: [], live: [], liveCpu: [] }
    try {
      const path = join(folder, 'ours.db')
      const stream = createStream()
      const index = await openIndexer({ store: openSqliteIndexStore(path), collections })
      await fill(index, stream, curve)
      const viewed = viewedBy(stream)
      const edges = viewed.followed.map((subject) => ({
        action: 'create' as const,
        ...stream.follow(subject),
      }))
      await index.apply([
        { type: 'commit', seq: 1, did: viewed.viewer, rev: stream.tid(), ops: edges },
      ])
      let cursor: string | undefined
      const pages = await timesOf(PAGES, async (n) => {
        if (n % 4 === 0) cursor = undefined
        const page = await index.timeline({
          from: ['post'],
          authors: { of: viewed.viewer, edge: 'follow', column: 'subject' },
          limit: PAGE_ROWS,
          cursor,
        })
        if (page.rows.length !== PAGE_ROWS) throw new Error(`${page.rows.length} rows on a page`)
        cursor = page.cursor
      })
      const counts = await timesOf(COUNTS, (n) =>
        index.countBacklinks({ target: viewed.posts[n] ?? '', from: 'like', path: 'subject' }),
      )
      tell(
        `pages p50 ${percentile(pages.ms, 0.5)} p99 ${percentile(pages.ms, 0.99)} ms; counts p50 ${percentile(counts.ms, 0.5)} p99 ${percentile(counts.ms, 0.99)} ms; the rival is next`,
      )
      // Of this process, in which the records were made too; before the rival begins.
      const rss = process.resourceUsage().maxRSS / 1024
      await index[Symbol.asyncDispose]()
      const bytes = statSync(path).size
      rmSync(path)

      using rival = new HandWrittenIndex(join(folder, 'rival.db'))
      fillRival(rival, createStream(), viewed)
      const page = rival.database.prepare(
        `select * from post where did in (select subject from follow where did = ?) and "createdAt" < ? order by "createdAt" desc limit ${PAGE_ROWS}`,
      )
      let before = '9'
      const rivalPages = await timesOf(PAGES, (n) => {
        if (n % 4 === 0) before = '9'
        const rows = page.all(viewed.viewer, before) as { createdAt: string }[]
        before = rows.at(-1)?.createdAt ?? '9'
      })
      const count = rival.database.prepare('select count(*) as n from "like" where subject = ?')
      const rivalCounts = await timesOf(COUNTS, (n) => count.get(viewed.posts[n]))

      const itself = 'itself on the first tenth'
      const results: SuiteResult[] = [
        {
          id: 'index-10m/bulk',
          work: `index repos a hundred records at a time, the last tenth of ${million} million`,
          unit: '/s',
          ours: curve.backfill.at(-1) ?? Number.NaN,
          rival: curve.backfill[0] ?? Number.NaN,
          rivalName: itself,
          note: `a record ${words(curve.backfill, curve.backfillCpu)}; ${Math.round(bytes / ROWS)} bytes a record on disk`,
        },
        {
          id: 'index-10m/live',
          work: `index a live stream on top of ${million} million records, rows, backlinks, counters, search`,
          unit: '/s',
          ours: curve.live.at(-1) ?? Number.NaN,
          rival: curve.live[0] ?? Number.NaN,
          rivalName: itself,
          note: `a commit ${words(curve.live, curve.liveCpu)}`,
        },
        {
          id: 'index-10m/timeline',
          work: `99th percentile of a page of ${PAGE_ROWS} posts of ${FOLLOWED} accounts, first to fourth page, over ${million} million records`,
          unit: 'ms',
          ours: percentile(pages.ms, 0.99),
          rival: percentile(rivalPages.ms, 0.99),
          rivalName: 'hand-written join, better-sqlite3',
          note: `p50 ${percentile(pages.ms, 0.5).toFixed(2)} ms, the rival's ${percentile(rivalPages.ms, 0.5).toFixed(2)} ms; p99 of CPU time ${percentile(pages.cpuMs, 0.99).toFixed(2)} ms; limit 30 ms`,
        },
        {
          id: 'index-10m/backlinks',
          work: `99th percentile of counting the likes of a recent post over ${million} million records`,
          unit: 'ms',
          ours: percentile(counts.ms, 0.99),
          rival: percentile(rivalCounts.ms, 0.99),
          rivalName: 'select count(*), better-sqlite3',
          note: `p50 ${percentile(counts.ms, 0.5).toFixed(3)} ms; p99 of CPU time ${percentile(counts.cpuMs, 0.99).toFixed(3)} ms; limit 1 ms`,
        },
        {
          id: 'index-10m/rss',
          work: `highest resident set while ${million} million records were indexed and read, the process that makes them included`,
          unit: 'MB',
          ours: rss,
          rival: 300,
          rivalName: 'the limit set',
          note: 'page caches of 64 and 16 MiB included; from TypeScript source',
        },
      ]
      return results
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
