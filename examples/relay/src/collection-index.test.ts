import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { type CommitEvent, commitEvent } from '@skywright/firehose'
import { createRandom } from '@skywright/firehose/testing'
import { generatePrivateKey } from '@skywright/identity/keys'
import {
  type Cid,
  type Commit,
  createMemoryRepoStore,
  decodeCar,
  encodeCar,
  Repo,
  type RepoWrite,
} from '@skywright/repo'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CollectionIndex, MAX_COLLECTIONS_PER_ACCOUNT } from './collection-index.ts'
import { openDatabase } from './database.ts'

const TIME = '2026-11-21T00:00:00.000Z'
/** Neighbours in the order of paths, some the beginning of others. */
const COLLECTIONS = [
  'app.bsky.feed.lik',
  'app.bsky.feed.like',
  'app.bsky.feed.likes',
  'app.bsky.feedback.like',
  'com.example.first',
]

let directory: string
let database: DatabaseSync
let index: CollectionIndex

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'relay-collections-'))
  database = openDatabase(directory)
  index = new CollectionIndex(database)
})
afterEach(() => {
  database.close()
  rmSync(directory, { recursive: true })
})

async function createRepo(did: string): Promise<Repo> {
  const key = generatePrivateKey('k256')
  const { repo, commit } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
  apply(commit)
  return repo
}

function apply(commit: Commit): CommitEvent {
  const event = commitEvent(commit, TIME)
  index.apply({ did: event.did, event, data: commit.data })
  return event
}

async function write(repo: Repo, writes: readonly RepoWrite[]): Promise<Commit> {
  const { commit } = await repo.applyWrites(writes)
  if (commit === undefined) throw new Error('nothing was written')
  return commit
}

function create(collection: string, rkey: string): RepoWrite {
  return { action: 'create', collection, rkey, record: { $type: collection, rkey } }
}

function remove(collection: string, rkey: string): RepoWrite {
  return { action: 'delete', collection, rkey }
}

/** The slice with nothing of the tree but its root. */
function rootOnly(blocks: Uint8Array, commit: Cid, data: Cid): Uint8Array {
  const kept = [...decodeCar(blocks).blocks].filter(
    ({ cid }) => cid.equals(commit) || cid.equals(data),
  )
  return encodeCar([commit], kept)
}

describe('CollectionIndex.apply', () => {
  it('knows after every commit which collections a repository has', async () => {
    const random = createRandom(11)
    const repo = await createRepo('did:plc:random')
    const paths = new Map<string, Set<string>>(COLLECTIONS.map((name) => [name, new Set()]))
    let emptied = 0
    for (let n = 0; n < 400; n++) {
      // Grows to a tree of several nodes, then shrinks to nothing, and so on.
      const growing = n % 80 < 30
      const writes: RepoWrite[] = []
      const touched = new Set<string>()
      for (let i = 0; i < 1 + random.integer(4); i++) {
        const collection = random.pick(COLLECTIONS)
        const rkeys = paths.get(collection) ?? new Set()
        const old = [...rkeys].find((rkey) => !touched.has(`${collection}/${rkey}`))
        if (!growing && old !== undefined) {
          writes.push(remove(collection, old))
          touched.add(`${collection}/${old}`)
          rkeys.delete(old)
          if (rkeys.size === 0) emptied++
        } else if (growing) {
          const rkey = `${String(random.integer(1_000_000))}x${String(n)}`
          writes.push(create(collection, rkey))
          rkeys.add(rkey)
        }
      }
      if (writes.length === 0) continue
      apply(await write(repo, writes))
      for (const [collection, rkeys] of paths) {
        expect([n, collection, index.list(collection, 10)]).toEqual([
          n,
          collection,
          rkeys.size === 0 ? [] : ['did:plc:random'],
        ])
      }
    }
    expect(emptied).toBeGreaterThan(10)
  })

  it('takes nothing away that the slice does not show to be gone', async () => {
    const repo = await createRepo('did:plc:sparse')
    // Enough that a node of its own stands between the root and the record.
    apply(
      await write(
        repo,
        Array.from({ length: 150 }, (_, i) => create('app.bsky.feed.post', `p${String(i)}`)),
      ),
    )
    apply(await write(repo, [create('app.bsky.feed.like', 'only')]))
    const commit = await write(repo, [remove('app.bsky.feed.like', 'only')])
    const event = commitEvent(commit, TIME)
    const bare = rootOnly(event.blocks, commit.cid, commit.data)
    expect([...decodeCar(event.blocks).blocks].length).toBeGreaterThan(2)
    const { did } = event
    index.apply({ did, event: { ...event, blocks: bare }, data: commit.data })
    expect(index.list('app.bsky.feed.like', 10)).toEqual([did])
    // Neither does what was not proven.
    index.apply({ did, event, data: undefined })
    expect(index.list('app.bsky.feed.like', 10)).toEqual([did])
    index.apply({ did, event, data: commit.data })
    expect(index.list('app.bsky.feed.like', 10)).toEqual([])
    expect(index.list('app.bsky.feed.post', 10)).toEqual([did])
  })

  it('keeps so many collections of one account and no more, and those it has', async () => {
    const repo = await createRepo('did:plc:flood')
    const name = (i: number): string => `com.example.flood.c${String(i).padStart(5, '0')}`
    for (let at = 0; at < MAX_COLLECTIONS_PER_ACCOUNT + 200; at += 200) {
      apply(
        await write(
          repo,
          Array.from({ length: 200 }, (_, i) => create(name(at + i), 'self')),
        ),
      )
    }
    const count = (): unknown =>
      database.prepare('SELECT count(*) AS n FROM relay_collection').get()
    expect(count()).toEqual({ n: MAX_COLLECTIONS_PER_ACCOUNT })
    expect(index.list(name(0), 1)).toHaveLength(1)
    expect(index.list(name(MAX_COLLECTIONS_PER_ACCOUNT), 1)).toHaveLength(0)
    // What goes makes room for what comes with it.
    apply(await write(repo, [remove(name(0), 'self'), create(name(9_999), 'self')]))
    expect(index.list(name(0), 1)).toHaveLength(0)
    expect(index.list(name(9_999), 1)).toHaveLength(1)
    expect(count()).toEqual({ n: MAX_COLLECTIONS_PER_ACCOUNT })
  })
})

describe('CollectionIndex.listMatching', () => {
  function all(patterns: readonly string[], limit: number): readonly string[] {
    const found: string[] = []
    for (let cursor = ''; ;) {
      const page = index.listMatching(patterns, limit, cursor)
      expect(page.items.length).toBeLessThanOrEqual(limit)
      found.push(...page.items)
      if (page.cursor === undefined) return found
      expect(page.cursor > cursor).toBe(true)
      ;({ cursor } = page)
    }
  }

  it('finds each account once, on the boundary of a name, in pages of any size', () => {
    index.add('did:plc:b', ['app.bsky.feed.like', 'app.bsky.feed.post', 'app.bsky.graph.follow'])
    index.add('did:plc:a', ['app.bsky.feedback.like', 'com.example.first'])
    index.add('did:plc:c', ['app.bsky.feed.post'])
    index.add('did:plc:d', ['app.bskyx.feed.post'])
    for (const limit of [1, 2, 3, 100]) {
      expect(all(['app.bsky.feed.*'], limit)).toEqual(['did:plc:b', 'did:plc:c'])
      expect(all(['app.bsky.*'], limit)).toEqual(['did:plc:a', 'did:plc:b', 'did:plc:c'])
      expect(all(['com.example.first', 'app.bsky.graph.*'], limit)).toEqual([
        'did:plc:a',
        'did:plc:b',
      ])
      expect(all(['org.nothing.here', 'org.nothing.*'], limit)).toEqual([])
    }
  })

  it('finds the same where so many collections match that accounts are gone through instead', () => {
    const expected: string[] = []
    database.exec('BEGIN')
    for (let i = 0; i < 60; i++) {
      const did = `did:plc:${String(i).padStart(4, '0')}`
      const names = Array.from({ length: 900 }, (_, n) => {
        const under = i % 3 === 0 ? 'many' : 'other'
        return `com.example.${under}.c${String((i * 37 + n) % 2_000)}`
      })
      index.add(did, names)
      if (i % 3 === 0) expected.push(did)
    }
    database.exec('COMMIT')
    for (const limit of [1, 7, 2_000]) {
      expect(all(['com.example.many.*'], limit)).toEqual(expected)
    }
  })

  it('leaves out, as every list of it does, who was taken down, and finds them again after', () => {
    index.add('did:plc:a', ['app.bsky.feed.post'])
    index.add('did:plc:b', ['app.bsky.feed.post'])
    database.exec(
      `INSERT INTO relay_account (did, hostname, upstream_status, local_status)
       VALUES ('did:plc:a', 'a.example.com', 'active', 'takendown')`,
    )
    expect(index.list('app.bsky.feed.post', 10)).toEqual(['did:plc:b'])
    expect(all(['app.bsky.*'], 10)).toEqual(['did:plc:b'])
    database.exec(`UPDATE relay_account SET local_status = NULL`)
    expect(index.list('app.bsky.feed.post', 10)).toEqual(['did:plc:a', 'did:plc:b'])
  })
})
