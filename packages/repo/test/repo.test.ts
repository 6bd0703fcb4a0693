import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { describe, expect, it } from 'vitest'

import {
  cidForCbor,
  type Cid,
  createMemoryRepoStore,
  createTidClock,
  decodeCar,
  decodeCommit,
  encodeCar,
  encodeCbor,
  type EventSink,
  HeadMovedError,
  importRepo,
  InvalidSwapError,
  InvalidSyntaxError,
  InvalidWriteError,
  LimitExceededError,
  Mst,
  parseTid,
  RecordExistsError,
  RecordNotFoundError,
  Repo,
  RepoExistsError,
  RepoNotFoundError,
  type RepoStore,
  type RepoWrite,
  verifyCommit,
  verifyRecordProof,
  verifyRepo,
} from '../src/index.ts'
import { openSqliteRepoStore } from '../src/stores/sqlite.ts'
import { buildRepoCar, createTestKey, MemoryEventSink } from '../src/testing/index.ts'
import { createRandom } from './random.ts'

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const collection = 'com.example.note'
const key = createTestKey()

function create(rkey: string, text = rkey): RepoWrite {
  return { action: 'create', collection, rkey, record: { $type: collection, text } }
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return new Uint8Array(Buffer.concat(parts))
}

const stores: readonly (readonly [string, () => RepoStore])[] = [
  ['memory', () => createMemoryRepoStore()],
  ['sqlite', () => openSqliteRepoStore({ database: new DatabaseSync(':memory:') })],
]

describe.each(stores)('Repo in the %s store', (_name, open) => {
  async function start(records = 0): Promise<{ store: RepoStore; repo: Repo }> {
    const store = open()
    const { repo } = await Repo.create(store, { did, signer: key })
    for (let at = 0; at < records; at += 100) {
      await repo.applyWrites(
        Array.from({ length: Math.min(100, records - at) }, (_, i) => create(`k${at + i}`)),
      )
    }
    return { store, repo }
  }

  it('is created once, empty, and opened after', async () => {
    const store = open()
    await expect(Repo.open(store, { did, signer: key })).rejects.toThrow(RepoNotFoundError)
    const { commit } = await Repo.create(store, { did, signer: key })
    expect(commit.since).toBe(null)
    expect(commit.data.toString()).toBe(
      'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm',
    )
    await expect(Repo.create(store, { did, signer: key })).rejects.toThrow(RepoExistsError)
    const repo = await Repo.open(store, { did, signer: key })
    expect((await repo.head()).rev).toBe(commit.rev)
    await expect(Repo.create(store, { did: 'nobody', signer: key })).rejects.toThrow('did')
  })

  it('refuses what the state does not allow, and writes nothing then', async () => {
    const { repo } = await start()
    await repo.applyWrites([create('a')])
    const before = await repo.head()
    await expect(repo.applyWrites([create('b'), create('a')])).rejects.toThrow(RecordExistsError)
    await expect(repo.applyWrites([{ action: 'delete', collection, rkey: 'b' }])).rejects.toThrow(
      RecordNotFoundError,
    )
    await expect(
      repo.applyWrites([
        { action: 'update', collection, rkey: 'b', record: { $type: collection } },
      ]),
    ).rejects.toThrow(RecordNotFoundError)
    await expect(repo.applyWrites([])).rejects.toThrow(InvalidWriteError)
    await expect(repo.applyWrites([create('c'), create('c')])).rejects.toThrow(InvalidWriteError)
    await expect(
      repo.applyWrites([
        { action: 'create', collection, rkey: 'd', record: { $type: 'com.example.other' } },
      ]),
    ).rejects.toThrow(InvalidWriteError)
    await expect(
      repo.applyWrites(Array.from({ length: 201 }, (_, i) => create(`x${i}`))),
    ).rejects.toThrow(LimitExceededError)
    await expect(repo.applyWrites([create('e', 'x'.repeat(1_000_001))])).rejects.toThrow(
      LimitExceededError,
    )
    await expect(
      repo.applyWrites(['f', 'g', 'h'].map((rkey) => create(rkey, rkey.repeat(900_000)))),
    ).rejects.toThrow(LimitExceededError)
    await expect(repo.applyWrites([create('not/a/key')])).rejects.toThrow('record key')
    expect((await repo.head()).rev).toBe(before.rev)
    expect((await repo.list(collection)).length).toBe(1)
  })

  it('compares and swaps commits and records', async () => {
    const { repo } = await start()
    const { commit, writes } = await repo.applyWrites([create('a')])
    const cid = writes[0]!.cid!
    const other = cidForCbor(encodeCbor({}))
    const put = (swapRecord: Cid | null | undefined, text: string): RepoWrite => ({
      action: 'put',
      collection,
      rkey: 'a',
      record: { $type: collection, text },
      swapRecord,
    })
    await expect(repo.applyWrites([put(other, 'b')])).rejects.toThrow(InvalidSwapError)
    await expect(repo.applyWrites([put(null, 'b')])).rejects.toThrow(InvalidSwapError)
    await expect(repo.applyWrites([put(undefined, 'b')], { swapCommit: other })).rejects.toThrow(
      InvalidSwapError,
    )
    const swapped = await repo.applyWrites([put(cid, 'b')], { swapCommit: commit!.cid })
    expect(swapped.commit?.ops.map(({ action }) => action)).toEqual(['update'])
    await expect(repo.applyWrites([put(cid, 'c')], { swapCommit: commit!.cid })).rejects.toThrow(
      InvalidSwapError,
    )
    await expect(
      repo.applyWrites([{ action: 'delete', collection, rkey: 'a', swapRecord: cid }]),
    ).rejects.toThrow(InvalidSwapError)
  })

  it('makes no commit of updates that change nothing', async () => {
    const { repo } = await start()
    await repo.applyWrites([create('a')])
    const before = await repo.head()
    const same: RepoWrite = {
      action: 'put',
      collection,
      rkey: 'a',
      record: { $type: collection, text: 'a' },
    }
    const result = await repo.applyWrites([same])
    expect(result.commit).toBe(undefined)
    expect(result.writes.map(({ action }) => action)).toEqual(['none'])
    expect((await repo.head()).rev).toBe(before.rev)
    const mixed = await repo.applyWrites([same, create('b')])
    expect(mixed.commit?.ops.map(({ path }) => path)).toEqual([`${collection}/b`])
  })

  it('serialises concurrent writes of several objects into one chain', async () => {
    const { store, repo } = await start()
    const others = await Promise.all([1, 2, 3].map(() => Repo.open(store, { did, signer: key })))
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        [repo, ...others][i % 4]!.applyWrites([create(`k${i}`)]),
      ),
    )
    const commits = results
      .map(({ commit }) => commit!)
      .toSorted((a, b) => (a.rev < b.rev ? -1 : 1))
    expect(new Set(commits.map(({ rev }) => rev)).size).toBe(40)
    for (const [index, commit] of commits.entries()) {
      verifyCommit({ ...commit, commit: commit.cid, key })
      if (index > 0) {
        expect(commit.since).toBe(commits[index - 1]!.rev)
        expect(commit.prevData?.toString()).toBe(commits[index - 1]!.data.toString())
      }
    }
    expect((await repo.list(collection, { limit: 100 })).length).toBe(40)
  })

  it('notices by itself that another object changed the record it is asked about', async () => {
    const { store, repo } = await start()
    await repo.applyWrites([create('a')])
    const other = await Repo.open(store, { did, signer: key })
    await other.applyWrites([{ action: 'delete', collection, rkey: 'a' }])
    const { commit } = await repo.applyWrites([create('a', 'again')])
    expect(commit?.ops[0]?.action).toBe('create')
  })

  it('exports a CAR that verifies, in streamable order, and its later part', async () => {
    const { repo } = await start(300)
    const since = (await repo.head()).rev
    await repo.applyWrites([create('late'), { action: 'delete', collection, rkey: 'k7' }])
    const car = await gather(repo.export())
    const verified = await verifyRepo(car, { did, key })
    expect(verified.recordCount).toBe(300)
    expect(verified.rev).toBe((await repo.head()).rev)
    // Streamable: every block is referenced by one before it.
    const order = [...decodeCar(car).blocks].map(({ cid }) => cid.toString())
    const nodes = [...verified.nodes()].map(({ cid }) => cid.toString())
    expect(order[0]).toBe(verified.cid.toString())
    expect(order[1]).toBe(verified.data.toString())
    expect(order.filter((cid) => nodes.includes(cid))).toEqual(nodes)
    expect(order.length).toBe(1 + verified.nodeCount + verified.recordCount)

    const diff = decodeCar(await gather(repo.export({ since }))).blocks
    expect(diff.size).toBeLessThan(20)
    expect([...diff].some(({ bytes }) => Buffer.from(bytes).includes('late'))).toBe(true)
    // Applied onto what was there before, it gives the new state.
    const all = decodeCar(car).blocks
    for (const { cid, bytes } of diff) expect(all.get(cid)).toEqual(bytes)
    expect(decodeCar(await gather(repo.export({ since: 'unknown' }))).blocks.size).toBe(
      order.length,
    )
    expect(decodeCar(await gather(repo.export({ since: '2222222222222' }))).blocks.size).toBe(
      order.length,
    )
    const now = (await repo.head()).rev
    expect(decodeCar(await gather(repo.export({ since: now }))).blocks.size).toBe(1)
  })

  it('exports one collection with the nodes that prove that nothing of it is left out', async () => {
    const random = createRandom(77)
    const { repo } = await Repo.create(open(), { did, signer: key })
    const names = ['a.b.a', 'a.b.b', 'a.b.bb', 'a.b.c', 'z.y.x']
    const sizes = [40, 1, 200, 60, 3]
    for (const [index, name] of names.entries()) {
      const rkeys = new Set(
        Array.from({ length: sizes[index]! }, () => `r${random.integer(0, 1e6)}`),
      )
      await repo.applyWrites(
        [...rkeys].map((rkey): RepoWrite => {
          return { action: 'create', collection: name, rkey, record: { $type: name, rkey } }
        }),
      )
    }
    const whole = decodeCar(await gather(repo.export())).blocks.size
    for (const name of [...names, 'a.a.none', 'a.b.bc', 'zz.none.none']) {
      const car = decodeCar(await gather(repo.export({ collection: name })))
      const { data } = decodeCommit(car.blocks.get(car.roots[0]!)!)
      const tree = Mst.open(data, car.blocks)
      // Throws where the tree that is there does not show it.
      const found = [...tree.entries({ prefix: `${name}/` })]
      const listed = await repo.list(name, { limit: 1000 })
      expect(found.map(([path, cid]) => [path, cid.toString()])).toEqual(
        listed.map(({ rkey, cid }) => [`${name}/${rkey}`, cid.toString()]),
      )
      for (const { cid, bytes } of listed) expect(car.blocks.get(cid)).toEqual(bytes)
      const nodes = [...car.blocks].filter(({ bytes }) => bytes[0] === 0xa2 && bytes[2] === 0x65)
      expect(car.blocks.size).toBe(1 + nodes.length + listed.length)
      expect(car.blocks.size).toBeLessThan(whole)
      // Nothing between the two ends of the range is unknown: what is beside them is there.
      const ends = [`${name}/`, `${name}0`]
      for (const end of ends) expect(tree.get(end)).toBe(undefined)
    }
    await expect(gather(repo.export({ collection: 'no' }))).rejects.toThrow(InvalidSyntaxError)
  })

  it('exports one state while writes go on', async () => {
    const { repo } = await start(300)
    const { rev } = await repo.head()
    const chunks: Uint8Array[] = []
    let n = 0
    for await (const chunk of repo.export()) {
      chunks.push(chunk)
      await repo.applyWrites([{ action: 'delete', collection, rkey: `k${n++}` }])
    }
    const verified = await verifyRepo(chunks, { did, key })
    expect([verified.rev, verified.recordCount]).toEqual([rev, 300])
  })

  it('proves presence and absence of records', async () => {
    const { repo } = await start(300)
    const path = `${collection}/k17`
    const present = verifyRecordProof(await repo.proof(collection, 'k17'), { did, key, path })
    const record = await repo.get(collection, 'k17')
    expect(present.cid?.toString()).toBe(record?.cid.toString())
    expect(present.bytes).toEqual(record?.bytes)
    const absent = verifyRecordProof(await repo.proof(collection, 'nope'), {
      did,
      key,
      path: `${collection}/nope`,
    })
    expect([absent.cid, absent.bytes]).toEqual([undefined, undefined])
    await expect(
      (async () =>
        verifyRecordProof(await repo.proof(collection, 'nope'), {
          did,
          key,
          path: 'com.example.aaa/x',
        }))(),
    ).rejects.toThrow('proof lacks')
    const minRev = createTidClock().next((await repo.head()).rev)
    const proof = await repo.proof(collection, 'k17')
    expect(() => verifyRecordProof(proof, { did, key, path, minRev })).toThrow('rev')
    expect(() => verifyRecordProof(proof, { did: 'did:web:other.example', key, path })).toThrow(
      'did',
    )
  })

  it('re-signs with another key under a higher rev', async () => {
    const { repo } = await start(3)
    const before = await repo.head()
    const next = createTestKey('next')
    const commit = await repo.resign({ signer: next })
    expect(commit.rev > before.rev).toBe(true)
    expect(commit.data.toString()).toBe(before.data.toString())
    verifyCommit({ ...commit, commit: commit.cid, key: next })
    const car = await gather(repo.export())
    await verifyRepo(car, { did, key: next })
    await expect(verifyRepo(car, { did, key })).rejects.toThrow('signature')
  })

  it('imports a repo: verifies, re-signs above both revs, and drops what is not referenced', async () => {
    const source = await start(300)
    const car = await gather(source.repo.export())
    const stray = encodeCbor({ stray: true })
    const blocks = decodeCar(car)
    blocks.blocks.set(cidForCbor(stray), stray)
    const padded = encodeCar(blocks.roots, blocks.blocks)

    const { store, repo } = await start(5)
    const old = await repo.head()
    const mine = createTestKey('mine')
    const { commit, head, recordCount } = await importRepo(store, padded, {
      did,
      signer: mine,
      key,
    })
    expect(recordCount).toBe(300)
    expect(head.rev > old.rev && head.rev > (await source.repo.head()).rev).toBe(true)
    expect(commit?.data.toString()).toBe((await source.repo.head()).data.toString())
    expect(await store.countRecords(did)).toBe(300)
    expect(await store.getNodes(did, [cidForCbor(stray), old.data])).toEqual([undefined, undefined])
    const after = await Repo.open(store, { did, signer: mine })
    const verified = await verifyRepo(after.export(), { did, key: mine })
    expect(verified.recordCount).toBe(300)
    await after.applyWrites([create('after')])
    // Once more: nothing to do.
    const again = await importRepo(store, await gather(after.export()), { did, signer: mine })
    expect(again.commit).toBe(undefined)
  })

  it('imports nothing of a foreign, damaged or wrongly signed CAR', async () => {
    const store = open()
    const records = { 'com.example.note/a': { $type: 'com.example.note' } }
    const { car } = await buildRepoCar({ did, signer: key, records })
    await expect(importRepo(store, car, { did: 'did:web:b.example', signer: key })).rejects.toThrow(
      'did',
    )
    await expect(
      importRepo(store, car, { did, signer: key, key: createTestKey('no') }),
    ).rejects.toThrow('signature')
    await expect(importRepo(store, car.slice(0, -1), { did, signer: key })).rejects.toThrow('car')
    expect(await store.listHeads()).toEqual([])
    await importRepo(store, car, { did, signer: key, key })
    expect((await store.listHeads()).length).toBe(1)
  })

  it('keeps going from a rev of the future without poisoning the clock', async () => {
    const store = open()
    const now = Date.UTC(2026, 0, 1)
    const clock = createTidClock({ now: () => now, clockId: 5 })
    const records = { 'com.example.note/a': { $type: 'com.example.note' } }
    const future = 'bdaaaaaaaaaaa'
    const { car } = await buildRepoCar({ did, signer: key, records, rev: future })
    const { head } = await importRepo(store, car, { did, signer: key, clock })
    expect(parseTid(head.rev).timestampMicros).toBe(parseTid(future).timestampMicros + 1n)
    const repo = await Repo.open(store, { did, signer: key, clock })
    const { commit } = await repo.applyWrites([create('b')])
    expect(commit!.rev > head.rev).toBe(true)
    expect(parseTid(clock.next()).timestampMicros).toBe(BigInt(now) * 1000n)
  })
})

describe('events of commits', () => {
  it.each(['memory', 'sqlite'])('are appended with the commit, in the %s store', async (name) => {
    const sink = new MemoryEventSink()
    const store =
      name === 'memory'
        ? createMemoryRepoStore({ events: sink })
        : openSqliteRepoStore({ database: ':memory:', events: sink })
    const { repo, commit } = await Repo.create(store, {
      did,
      signer: key,
      events: ({ rev }) => [(seq) => encodeCbor({ seq, rev })],
    })
    const { commit: second } = await repo.applyWrites([create('a')])
    await repo.applyWrites([create('b')], { events: () => [] })
    await expect(repo.applyWrites([create('a')])).rejects.toThrow(RecordExistsError)
    expect(sink.durable.map(({ bytes }) => bytes)).toEqual([
      encodeCbor({ seq: 1, rev: commit.rev }),
      encodeCbor({ seq: 2, rev: second!.rev }),
    ])
    await store.close()
  })

  it('pass an unmovable head on after many attempts', async () => {
    const store = createMemoryRepoStore()
    const { repo } = await Repo.create(store, { did, signer: key })
    const stubborn: RepoStore = Object.create(store, {
      commit: { value: async () => Promise.reject(new HeadMovedError(did)) },
    }) as RepoStore
    const blocked = await Repo.open(stubborn, { did, signer: key })
    await expect(blocked.applyWrites([create('a')])).rejects.toThrow(HeadMovedError)
    await repo.applyWrites([create('a')])
  })
})

describe('Mst', () => {
  it('gives ranges and prefixes without reading other nodes', () => {
    const value = cidForCbor(encodeCbor({}))
    let tree = Mst.empty()
    const keys: string[] = []
    for (const name of ['com.example.a', 'com.example.ab', 'com.example.b']) {
      for (let i = 0; i < 50; i++) keys.push(`${name}/${i}`)
    }
    for (const key of keys) tree = tree.put(key, value)
    const sorted = keys.toSorted()
    expect([...tree.nodes()].length).toBeGreaterThan(20)
    const prefix = 'com.example.a/'
    expect([...tree.entries({ prefix })].map(([k]) => k)).toEqual(
      sorted.filter((k) => k.startsWith(prefix)),
    )
    const [from, to] = [sorted[33]!, sorted[77]!]
    expect([...tree.entries({ from, to })].map(([k]) => k)).toEqual(sorted.slice(33, 77))
  })
})

describe('the SQLite store', () => {
  it('lets commits that arrive together share one transaction', async () => {
    let transactions = 0
    const sink = new MemoryEventSink()
    const events: EventSink = {
      append: (of, encode) => sink.append(of, encode),
      committed: () => {
        transactions++
        sink.committed()
      },
      rolledBack: () => sink.rolledBack(),
    }
    const store = openSqliteRepoStore({ database: ':memory:', events })
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        Repo.create(store, {
          did: `did:web:n${n}.example.com`,
          signer: key,
          events: ({ rev }) => [(seq) => encodeCbor({ seq, rev })],
        }),
      ),
    )
    expect(sink.durable.length).toBe(50)
    expect(transactions).toBeLessThan(10)
    await store.close()
  })

  it('keeps nobody waiting when a sink breaks its word and throws after the fact', async () => {
    const events: EventSink = {
      append: () => 1,
      committed() {
        throw new Error('a subscriber failed')
      },
      rolledBack() {},
    }
    const uncaught = new Promise<unknown>((resolve) => {
      process.prependOnceListener('uncaughtException', resolve)
    })
    const others = process.listeners('uncaughtException').slice(1)
    for (const other of others) process.off('uncaughtException', other)
    try {
      const store = openSqliteRepoStore({ database: ':memory:', events })
      const { commit } = await Repo.create(store, { did: 'did:web:a.example.com', signer: key })
      expect(await uncaught).toEqual(new Error('a subscriber failed'))
      expect((await store.getHead('did:web:a.example.com'))?.rev).toBe(commit.rev)
      await store.close()
    } finally {
      for (const other of others) process.on('uncaughtException', other)
    }
  })

  it('lets several connections write one repo', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'skywright-shared-'))
    try {
      const stores = [1, 2, 3].map(() =>
        openSqliteRepoStore({ database: join(folder, 'repo.sqlite') }),
      )
      await Repo.create(stores[0]!, { did, signer: key })
      const repos = await Promise.all(stores.map((store) => Repo.open(store, { did, signer: key })))
      await Promise.all(
        Array.from({ length: 30 }, (_, n) => repos[n % 3]!.applyWrites([create(`k${n}`)])),
      )
      const verified = await verifyRepo(repos[1]!.export(), { did, key })
      expect(verified.recordCount).toBe(30)
      for (const store of stores) await store.close()
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('answers every list by an index, never by sorting or scanning', () => {
    const database = new DatabaseSync(':memory:')
    openSqliteRepoStore({ database })
    const statements = [
      'SELECT rkey FROM repo_record WHERE repo = ? AND collection = ? AND rkey > ? ORDER BY rkey LIMIT ?',
      'SELECT rkey FROM repo_record WHERE repo = ? AND collection = ? AND rkey < ? ORDER BY rkey DESC LIMIT ?',
      'SELECT collection FROM repo_record WHERE repo = ? AND collection > ? ORDER BY collection LIMIT 1',
      'SELECT DISTINCT blob FROM repo_blob WHERE repo = ? AND blob > ? AND rev > ? ORDER BY blob LIMIT ?',
      'SELECT collection, rkey FROM repo_blob WHERE repo = ? AND blob = ? ORDER BY collection, rkey',
    ]
    for (const statement of statements) {
      const plan = database.prepare(`EXPLAIN QUERY PLAN ${statement}`).all(
        ...statement
          .split('?')
          .slice(1)
          .map(() => 1),
      )
      const details = plan.map(({ detail }) => String(detail)).join('; ')
      expect([statement, details]).toEqual([statement, expect.stringMatching(/^SEARCH/)])
      expect(details).not.toMatch(/TEMP B-TREE|SCAN/)
    }
  })
})
