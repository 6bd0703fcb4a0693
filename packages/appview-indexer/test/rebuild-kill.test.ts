import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openIndexer } from '../src/index.ts'
import type { AnyCollection, Indexer } from '../src/index.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import { openKillStore, placeInDatabase, placeInFile } from './kill-place.ts'
import type { KillPlace } from './kill-place.ts'
import { startPostgres } from './postgres-server.ts'
import type { TestServer } from './postgres-server.ts'
import { changedCollections, firstCollections, rebuildHistory } from './rebuild-history.ts'
import { NSID } from './social.ts'

const WORKER = fileURLToPath(new URL('rebuild-worker.ts', import.meta.url))
const network = rebuildHistory()
const now = (): number => network.now()

type Index = Indexer<Record<'post' | 'like', AnyCollection>>

async function open(address: string | undefined, collections = firstCollections()): Promise<Index> {
  const store = address === undefined ? openSqliteIndexStore(':memory:') : openKillStore(address)
  return openIndexer({ store, collections, now })
}

/** Tells whether the worker died. */
async function rebuildUntil(address: string, dieAt: number): Promise<boolean> {
  const worker = spawn(
    process.execPath,
    ['--conditions=@skywright/source', WORKER, address, String(dieAt)],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
    },
  )
  let [output, errors] = ['', '']
  worker.stdout.on('data', (data: Buffer) => (output += data.toString()))
  worker.stderr.on('data', (data: Buffer) => (errors += data.toString()))
  const [code] = (await once(worker, 'exit')) as [number | null]
  if (code !== null && code !== 0) throw new Error(errors)
  return !output.includes('done')
}

/** What somebody sees who reads the tables of the first declaration. */
async function view(address: string): Promise<unknown> {
  await using store = openKillStore(address)
  const queries = [
    'SELECT id, text, parent, state FROM post ORDER BY id',
    'SELECT repo, rkey, subject, state FROM "like" ORDER BY repo, rkey',
    `SELECT n.name, c.target, c.n FROM ix_counter c JOIN ix_counter_name n ON n.id = c.counter
     WHERE n.name IN ('posts', 'replies', 'likes') ORDER BY 1, 2`,
    `SELECT l.target, l.path, l.repo, l.rkey FROM ix_link l JOIN ix_path p ON p.id = l.path / 2
     JOIN ix_space s ON s.id = p.space WHERE s.name IN ('${NSID.POST}', '${NSID.LIKE}') ORDER BY 1, 2, 3, 4`,
    `SELECT n.* FROM ix_notification n JOIN ix_space s ON s.id = n.space WHERE s.name = '${NSID.POST}'
     ORDER BY recipient, "sortAt", repo, rkey`,
    'SELECT text, n FROM said ORDER BY text',
  ]
  const rows = []
  for (const sql of queries) rows.push(await store.query(sql, []))
  expect(rows.every((part) => part.length >= 50)).toBe(true)
  return rows.map((part) => createHash('sha256').update(JSON.stringify(part)).digest('hex'))
}

/** The process dies in every one of the transactions of a rebuild, in turn; then it is let finish. */
async function dieEverywhere(place: KillPlace): Promise<number> {
  const { address } = place
  {
    await using index = await open(address)
    await index.apply(network.events)
    await index.settle()
  }
  const before = await view(address)
  let deaths = 0
  // The first transaction of a process only looks; each further one is undone once and done by the next process.
  for (let swaps = 0; swaps === 0; deaths += 2) {
    expect(await rebuildUntil(address, 2)).toBe(true)
    expect(await view(address)).toEqual(before)
    expect(await rebuildUntil(address, 3)).toBe(true)
    await using store = openKillStore(address)
    const left = await store.query('SELECT nsid FROM ix_collection WHERE rebuild IS NOT NULL', [])
    if (left.length < 2) swaps++
    else expect(await view(address)).toEqual(before)
  }
  for (let dieAt = 4; await rebuildUntil(address, dieAt); dieAt += 3) deaths++
  await using index = await open(address, changedCollections())
  await using fresh = await open(undefined, changedCollections())
  await fresh.apply(network.events)
  expect(await index.stateHash()).toBe(await fresh.stateHash())
  const said = 'SELECT text, n FROM said WHERE n > 0 ORDER BY text'
  expect(await index.sql(said)).toEqual(await fresh.sql(said))
  expect(await index.sql(said)).toHaveLength(50)
  expect(await index.audit()).toEqual([])
  expect((await index.deadLetters({ limit: 10 })).length).toBe(10)
  for (const [table, rest] of [
    ['ix_space', 2],
    ['ix_counter_name', 4],
  ] as const)
    expect(await index.sql(`SELECT name FROM ${table}`)).toHaveLength(rest)
  return deaths
}

/** A rebuild that is begun and given up: the declaration before is in force again, and nothing tells of the other. */
async function turnBack(place: KillPlace): Promise<void> {
  const { address } = place
  let expected = ''
  {
    await using index = await open(address)
    await index.apply(network.events)
    expected = await index.stateHash()
  }
  const before = await view(address)
  expect(await rebuildUntil(address, 3)).toBe(true)
  await using index = await open(address)
  expect(await index.stateHash()).toBe(expected)
  expect(await index.audit()).toEqual([])
  expect(await index.deadLetters()).toEqual([])
  expect(await view(address)).toEqual(before)
}

/** Readers never see a part of what is derived again, and events that come meanwhile follow. */
async function readMeanwhile(place: KillPlace): Promise<number> {
  await using index = await open(place.address)
  await index.apply(network.events)
  await index.settle()
  const look = async (): Promise<unknown> => [
    await index.select('post').count(),
    (await index.select('post').search('7').page({ limit: 5 })).rows,
    await index.countBacklinks({
      target: `at://${network.accounts[0]!.did}`,
      from: 'like',
      path: 'subject',
    }),
    await index.notifications(network.accounts[1]!.did, { limit: 5 }).then(({ rows }) => rows),
    await index.counts([network.accounts[0]!.did]),
  ]
  const expected = await look()
  let done = false
  let looks = 0
  const rebuilding = Promise.all([index.rebuild('post'), index.rebuild('like')]).finally(
    () => (done = true),
  )
  for (; !done; looks++) {
    expect(await look()).toEqual(expected)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await rebuilding
  expect(await look()).toEqual(expected)
  return looks
}

const cache = mkdtempSync(join(tmpdir(), 'index-rebuild-cache-'))
let server: TestServer | undefined
beforeAll(async () => {
  server = await startPostgres()
}, 60_000)
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  rmSync(cache, { recursive: true, force: true, maxRetries: 3 })
})

describe.each(['SQLite', 'Postgres'])('a rebuild on %s', (kind) => {
  const place = (): Promise<KillPlace> =>
    kind === 'SQLite' ? placeInFile() : placeInDatabase(server!)

  it('that is killed leaves the old index whole and is taken up again', async () => {
    await using somewhere = await place()
    expect(await dieEverywhere(somewhere)).toBeGreaterThan(4)
  }, 240_000)

  it('that is begun and taken back leaves nothing', async () => {
    await using somewhere = await place()
    await turnBack(somewhere)
  }, 120_000)

  it('shows nothing before it is done', async () => {
    await using somewhere = await place()
    expect(await readMeanwhile(somewhere)).toBeGreaterThan(3)
  }, 120_000)
})
