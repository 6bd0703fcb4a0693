import { DatabaseSync } from 'node:sqlite'

import { describe, expect, it } from 'vitest'

import {
  createMemoryRepoStore,
  isTid,
  Repo,
  type RepoStore,
  type RepoWrite,
  verifyCommit,
} from '../src/index.ts'
import { openSqliteRepoStore } from '../src/stores/sqlite.ts'
import { fastKey, testKey } from './keys.ts'
import { createRandom } from './random.ts'

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'

const stores: readonly (readonly [string, () => RepoStore])[] = [
  ['memory', () => createMemoryRepoStore()],
  ['sqlite', () => openSqliteRepoStore({ database: new DatabaseSync(':memory:') })],
]

describe.each(stores)('a repo in the %s store', (_name, open) => {
  it('makes commits that verify by inversion, whatever the batches', async () => {
    const store = open()
    const random = createRandom(7)
    const { repo, commit: first } = await Repo.create(store, { did, signer: fastKey })
    let previous = first
    verifyCommit({ ...first, commit: first.cid, key: fastKey })
    const model = new Map<string, string>()
    let commits = 0
    let ops = 0
    for (let round = 0; round < 400; round++) {
      const size = random.integer(1, random.integer(1, 12))
      const writes = new Map<string, RepoWrite>()
      while (writes.size < size) {
        const collection = random.pick([
          'app.bsky.feed.post',
          'app.bsky.feed.like',
          'com.example.thing',
        ])
        const rkey = `r${random.integer(0, 300)}`
        const path = `${collection}/${rkey}`
        if (writes.has(path)) continue
        const record = { $type: collection, n: random.integer(0, 5) }
        const exists = model.has(path)
        if (exists && random.chance(0.45)) {
          writes.set(path, { action: 'delete', collection, rkey })
          model.delete(path)
        } else {
          writes.set(path, {
            action: exists ? 'update' : random.pick(['create', 'put']),
            collection,
            rkey,
            record,
          })
          model.set(path, JSON.stringify(record))
        }
      }
      const { commit } = await repo.applyWrites([...writes.values()])
      if (commit === undefined) continue
      expect(commit.since).toBe(previous.rev)
      expect(commit.prevData?.toString()).toBe(previous.data.toString())
      expect(commit.rev > previous.rev).toBe(true)
      expect(isTid(commit.rev)).toBe(true)
      const { records } = verifyCommit({ ...commit, commit: commit.cid, key: fastKey })
      expect(records.size).toBe(commit.ops.filter(({ cid }) => cid !== null).length)
      previous = commit
      commits++
      ops += commit.ops.length
    }
    expect(commits).toBeGreaterThan(350)
    expect(ops).toBeGreaterThan(1000)
    expect(await store.countRecords(did)).toBe(model.size)
    await store.close()
  })

  it('signs with the account key', async () => {
    const key = testKey()
    const { repo } = await Repo.create(open(), { did, signer: key })
    const { commit } = await repo.applyWrites([
      {
        action: 'create',
        collection: 'app.bsky.feed.post',
        rkey: '3kaaaaaaaaa22',
        record: { $type: 'app.bsky.feed.post' },
      },
    ])
    expect(commit).toBeDefined()
    verifyCommit({ ...commit!, commit: commit!.cid, key })
    expect(() => verifyCommit({ ...commit!, commit: commit!.cid, key: testKey(2) })).toThrow(
      'signature',
    )
  })
})
