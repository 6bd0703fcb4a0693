import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import {
  type Block,
  cidForRaw,
  createMemoryRepoStore,
  createTidClock,
  decodeCar,
  encodeCar,
  formatTid,
  HeadMovedError,
  importRepo,
  InvalidCommitError,
  Repo,
  type RepoStore,
  verifyRepo,
} from '../src/index.ts'
import { openSqliteRepoStore } from '../src/stores/sqlite.ts'
import { buildRepoCar, createTestKey } from '../src/testing/index.ts'
import { createRandom } from './random.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'
const RECORDS = 4_000

/** Bytes of the same for all, so that a repo of few records is larger than what an import holds. */
const filler = 'x'.repeat(3_000)

function recordsOf(count: number): Record<string, unknown> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => [
      `${collection}/k${String(n).padStart(6, '0')}`,
      // Every tenth record is the same one as the tenth before: its block is in the CAR once.
      { $type: collection, filler, n: n % 10 === 0 ? 0 : n },
    ]),
  )
}

function shuffled(car: Uint8Array, seed: number): Uint8Array {
  const random = createRandom(seed)
  const { roots, blocks } = decodeCar(car)
  const list: Block[] = [...blocks]
  for (let at = list.length - 1; at > 0; at--) {
    const other = random.integer(0, at)
    ;[list[at], list[other]] = [list[other]!, list[at]!]
  }
  return encodeCar(roots, list)
}

function* pieces(bytes: Uint8Array, size = 65_536): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size)
}

function rowsOf(database: DatabaseSync): Record<string, number> {
  const tables = ['repo_head', 'repo_node', 'repo_record', 'repo_blob', 'repo_stage']
  return Object.fromEntries(
    tables.map((table) => [
      table,
      Number(database.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()?.['n']),
    ]),
  )
}

const NOTHING = { repo_head: 0, repo_node: 0, repo_record: 0, repo_blob: 0, repo_stage: 0 }

let folder: string
let car: Uint8Array
let unordered: Uint8Array
let files = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skywright-import-'))
  ;({ car } = await buildRepoCar({ did, signer: key, records: recordsOf(RECORDS) }))
  unordered = shuffled(car, 5)
  expect(car.length).toBeGreaterThan(10_000_000)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function newFile(): string {
  return join(folder, `${files++}.sqlite`)
}

async function expectImported(store: RepoStore, signer = key): Promise<void> {
  const repo = await Repo.open(store, { did, signer })
  const verified = await verifyRepo(repo.export(), { did, key: signer })
  expect(verified.recordCount).toBe(RECORDS)
  expect(await store.countRecords(did)).toBe(RECORDS)
}

describe('an import', () => {
  it.each(['memory', 'sqlite in a file'])(
    'takes a large CAR in pieces and in no order, repeated records once, into the %s store',
    async (name) => {
      const store =
        name === 'memory' ? createMemoryRepoStore() : openSqliteRepoStore({ database: newFile() })
      const mine = createTestKey('mine')
      const { recordCount, head } = await importRepo(store, pieces(unordered), {
        did,
        key,
        signer: mine,
      })
      expect(recordCount).toBe(RECORDS)
      await expectImported(store, mine)
      expect((await store.getNodes(did, [head.data]))[0]?.rev).toBe(head.rev)
      await store.close()
    },
  )

  it('gives the event loop a turn between pieces of bounded size', async () => {
    const store = openSqliteRepoStore({ database: newFile() })
    const pieceSizes: number[] = []
    let turnsBetween = 0
    let fewestTurns = Infinity
    let importing = true
    const turn = (): void => {
      turnsBetween++
      if (importing) setImmediate(turn)
    }
    setImmediate(turn)
    const watch = (rows: readonly { readonly bytes: Uint8Array }[]): void => {
      fewestTurns = Math.min(fewestTurns, turnsBetween)
      turnsBetween = 0
      expect(rows.length).toBeLessThanOrEqual(300)
      pieceSizes.push(rows.reduce((size, { bytes }) => size + bytes.length, 0))
    }
    const watched = Object.create(store, {
      stage: {
        value: (of: string) => {
          const stage = store.stage(of)
          return Object.create(stage, {
            put: {
              value: (...[nodes, records]: Parameters<typeof stage.put>) => {
                watch([...nodes, ...records])
                return stage.put(nodes, records)
              },
            },
            putBlocks: {
              value: (...[blocks]: Parameters<typeof stage.putBlocks>) => {
                watch(blocks)
                return stage.putBlocks(blocks)
              },
            },
          }) as typeof stage
        },
      },
    }) as RepoStore
    await importRepo(watched, pieces(unordered), { did, key, signer: key })
    importing = false
    expect(pieceSizes.length).toBeGreaterThan(50)
    expect(Math.max(...pieceSizes)).toBeLessThan(300_000)
    expect(fewestTurns).toBeGreaterThan(0)
    await store.close()
  })

  it.each([
    ['cut off', (): Iterable<Uint8Array> => pieces(unordered.slice(0, -1))],
    ['lacking a record', (): Iterable<Uint8Array> => pieces(withoutLast(car))],
    [
      'failing in the middle',
      function* (): Iterable<Uint8Array> {
        yield unordered.slice(0, 9_500_000)
        throw new Error('connection lost')
      },
    ],
  ])('leaves nothing of a CAR %s', async (_name, source) => {
    const database = new DatabaseSync(newFile())
    const store = openSqliteRepoStore({ database })
    await expect(importRepo(store, source(), { did, key, signer: key })).rejects.toThrow(
      /truncated|not found|connection lost/,
    )
    expect(rowsOf(database)).toEqual(NOTHING)
    expect(
      Number(database.prepare('SELECT COUNT(*) AS n FROM temp.repo_waiting').get()?.['n']),
    ).toBe(0)
    database.close()
  })

  it('replaces a repo while others read it, and removes what it held', async () => {
    const database = new DatabaseSync(newFile())
    database.exec('PRAGMA journal_mode = WAL')
    const store = openSqliteRepoStore({ database })
    const { repo } = await Repo.create(store, { did, signer: key })
    const blob = { $type: 'blob', ref: cidForRaw(Uint8Array.of(1)), mimeType: 'a/b', size: 1 }
    const record = { $type: collection, blob }
    for (let n = 0; n < 4; n++) {
      await repo.applyWrites(
        Array.from({ length: 200 }, (_, i) => ({
          action: 'create' as const,
          collection,
          rkey: `old-${n}-${i}`,
          record,
        })),
      )
    }
    const reading = repo.export()
    await reading.next()
    await importRepo(store, pieces(unordered), { did, signer: key })
    let rest = 0
    for await (const chunk of reading) rest += chunk.length
    expect(rest).toBeGreaterThan(800 * 38)
    await expectImported(store)
    const rows = rowsOf(database)
    expect(rows).toEqual({
      ...NOTHING,
      repo_head: 1,
      repo_record: RECORDS,
      repo_node: rows['repo_node'],
    })
    // The Repo that was open goes on with the imported tree.
    const { commit } = await repo.applyWrites([
      { action: 'create', collection, rkey: 'new', record },
    ])
    expect(commit?.ops).toHaveLength(1)
    const verified = await verifyRepo(repo.export(), { did, key })
    expect(verified.recordCount).toBe(RECORDS + 1)
    expect(verified.nodeCount).toBe(rowsOf(database)['repo_node'])
    database.close()
  })

  it('is invisible when its process is killed, and what it left is removed', async () => {
    const file = newFile()
    const script = fileURLToPath(new URL('./support/import-process.ts', import.meta.url))
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', script, file, did],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    )
    child.stdin.on('error', () => {})
    const exited = once(child, 'exit')
    child.stdin.end(unordered)
    let batches = 0
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'put' && ++batches === 20) child.kill('SIGKILL')
    }
    expect(await exited).toEqual([null, 'SIGKILL'])
    const database = new DatabaseSync(file)
    const left = rowsOf(database)
    expect(left['repo_record']).toBeGreaterThan(500)
    expect(left['repo_head']).toBe(0)

    // Fresh leftovers may be of an import under way in another process: they stay, unseen.
    const store = openSqliteRepoStore({ database })
    expect(await store.getHead(did)).toBe(undefined)
    expect(await store.countRecords(did)).toBe(0)
    await store.deleteRepo('did:web:nobody.example.com')
    expect(rowsOf(database)['repo_record']).toBe(left['repo_record'])

    // An hour later whoever opens the database removes them.
    const later = openSqliteRepoStore({ database, now: () => Date.now() + 3_700_000 })
    await later.deleteRepo('did:web:nobody.example.com')
    expect(rowsOf(database)).toEqual(NOTHING)
    await importRepo(store, pieces(unordered), { did, key, signer: key })
    await expectImported(store)
    database.close()
  })

  it('of the same account removes at once what a killed one left', async () => {
    const database = new DatabaseSync(newFile())
    const store = openSqliteRepoStore({ database })
    const abandoned = store.stage(did)
    const { cid, bytes } = [...decodeCar(car).blocks][0]!
    await abandoned.put(
      Array.from({ length: 1500 }, (_, n) => ({ cid: cidForRaw(Uint8Array.of(n, n >> 8)), bytes })),
      [{ collection, rkey: 'x', cid, bytes, blobs: [cid] }],
    )
    await importRepo(store, car, { did, key, signer: key })
    const rows = rowsOf(database)
    expect(rows['repo_stage']).toBe(0)
    expect(rows['repo_record']).toBe(RECORDS)
    expect(rows['repo_blob']).toBe(0)
    database.close()
  })

  it.each([
    ['memory', () => createMemoryRepoStore()],
    ['SQLite', () => openSqliteRepoStore({ database: new DatabaseSync(newFile()) })],
  ])('does not bring back an account deleted meanwhile (%s)', async (_name, open) => {
    const small = await buildRepoCar({ did, signer: key, records: recordsOf(3) })
    const store = open()
    await importRepo(store, small.car, { did, key, signer: key })
    const next = await buildRepoCar({ did, signer: key, records: recordsOf(5) })
    async function* deletedMidway(): AsyncGenerator<Uint8Array, void, void> {
      yield next.car.subarray(0, 500)
      await store.deleteRepo(did)
      yield next.car.subarray(500)
    }
    await expect(importRepo(store, deletedMidway(), { did, key, signer: key })).rejects.toThrow(
      HeadMovedError,
    )
    expect(await store.getHead(did)).toBe(undefined)
    // Asked again, it is a new account.
    await importRepo(store, next.car, { did, key, signer: key })
    expect(await store.countRecords(did)).toBe(5)
    await store.close()
  })

  it('refuses a CAR whose rev leaves none above it, with a typed error', async () => {
    const last = formatTid({ timestampMicros: 2n ** 53n - 1n, clockId: 0 })
    for (const rev of [last, 'bzzzzzzzzzzzz', 'jzzzzzzzzzzzz']) {
      const records = recordsOf(1)
      const built = await buildRepoCar({ did, signer: key, records, rev })
      const store = createMemoryRepoStore()
      await expect(
        importRepo(store, built.car, { did, signer: key, clock: createTidClock() }),
      ).rejects.toThrow(InvalidCommitError)
    }
  })
})

/** The CAR without its last block, a record. */
function withoutLast(bytes: Uint8Array): Uint8Array {
  const { roots, blocks } = decodeCar(bytes)
  return encodeCar(roots, [...blocks].slice(0, -1))
}
