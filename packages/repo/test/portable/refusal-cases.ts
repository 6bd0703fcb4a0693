/** What the engine refuses, and with which error, as cases for every runtime. */
import {
  type Block,
  buildMst,
  cidForCbor,
  cidForRaw,
  createMemoryRepoStore,
  createTidClock,
  decodeCar,
  decodeCbor,
  encodeCar,
  encodeCbor,
  formatTid,
  importRepo,
  jsonToLex,
  lexToJson,
  Mst,
  parseTid,
  readCar,
  Repo,
  type RepoWrite,
  verifyCommit,
  verifyRecordProof,
  verifyRepo,
} from '../../src/index.ts'
import { buildRepoCar, createTestKey } from '../../src/testing/index.ts'
import { createRandom } from '../random.ts'
import { codeOf, type PortableCase, same } from './portable-case.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'
const value = cidForCbor(encodeCbor({}))

function recordsOf(count: number): Record<string, { $type: string; n: number }> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`${collection}/k${n}`, { $type: collection, n }]),
  )
}

async function openWith(count: number): Promise<Repo> {
  const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
  const writes = Object.values(recordsOf(count)).map((record, n): RepoWrite => {
    return { action: 'create', collection, rkey: `k${n}`, record }
  })
  if (writes.length > 0) await repo.applyWrites(writes)
  return repo
}

/** Refused by the encoder; the names are for the report. */
const UNWRITABLE: Readonly<Record<string, unknown>> = {
  float: 1.5,
  nan: NaN,
  'two to the 53': 2 ** 53,
  'lone surrogate': '\ud800',
  undefined: { a: undefined },
  hole: Array.from({ length: 2 }, (_, n) => (n === 0 ? undefined : n)),
  date: new Date(0),
  map: new Map(),
  'empty key': { '': 1 },
  'long key': { ['é'.repeat(4_097)]: 1 },
}

const JSON_REFUSED: readonly unknown[] = [
  1.5,
  2 ** 53,
  { $link: 'bafy' },
  { $link: value.toString(), more: 1 },
  { $bytes: '!' },
  { $bytes: 'AA==', more: 1 },
  { $type: '' },
  { $type: 'blob', ref: { $link: value.toString() }, mimeType: 'a/b', size: 1 },
  { $type: 'blob', mimeType: 'a/b', size: 1 },
  '\udc00',
]

export const REFUSAL_CASES: readonly PortableCase[] = [
  ...Object.entries(UNWRITABLE).map(([name, unwritable]) => ({
    name: `does not encode: ${name}`,
    run: async () => same(await codeOf(() => encodeCbor({ v: unwritable })), 'InvalidCbor', name),
  })),
  {
    name: 'refuses JSON that breaks the data model, and maps the rest both ways',
    run: async () => {
      for (const json of JSON_REFUSED)
        same(await codeOf(() => jsonToLex({ v: json })), 'InvalidData', JSON.stringify(json))
      const json = {
        link: { $link: value.toString() },
        bytes: { $bytes: 'AQID' },
        blob: {
          $type: 'blob',
          ref: { $link: cidForRaw(Uint8Array.of(1)).toString() },
          mimeType: 'a/b',
          size: 3,
        },
        deep: [[{ a: [null, true, -5, 'ä😀'] }]],
      }
      const bytes = encodeCbor(jsonToLex(json))
      const again = encodeCbor(jsonToLex(lexToJson(decodeCbor(bytes))))
      same(again.join(), bytes.join(), 'there and back')
    },
  },
  {
    name: 'refuses writes that do not fit, and writes nothing of them',
    run: async () => {
      const repo = await openWith(3)
      const record = { $type: collection }
      const refused: readonly (readonly [string, RepoWrite | null])[] = [
        ['RecordExists', { action: 'create', collection, rkey: 'k0', record }],
        ['RecordNotFound', { action: 'update', collection, rkey: 'x', record }],
        ['RecordNotFound', { action: 'delete', collection, rkey: 'x' }],
        ['InvalidSwap', { action: 'put', collection, rkey: 'k0', record, swapRecord: value }],
        ['InvalidSwap', { action: 'put', collection, rkey: 'k0', record, swapRecord: null }],
        ['InvalidWrite', { action: 'put', collection, rkey: 'k0', record: { $type: 'a.b.c' } }],
        ['InvalidSyntax', { action: 'put', collection: 'Com.Example.note', rkey: 'k0', record }],
        ['InvalidSyntax', { action: 'put', collection, rkey: '..', record }],
        ['InvalidSyntax', { action: 'put', collection, rkey: 'x'.repeat(513), record }],
        ['InvalidWrite', null],
      ]
      const before = (await repo.head()).rev
      for (const [code, write] of refused)
        same(await codeOf(() => repo.applyWrites([write as RepoWrite])), code, code)
      const many = Array.from({ length: 201 }, (_, n): RepoWrite => {
        return { action: 'create', collection, rkey: `m${n}`, record }
      })
      same(await codeOf(() => repo.applyWrites(many)), 'LimitExceeded', 'operations')
      const big = { $type: collection, text: 'x'.repeat(1_000_000) }
      same(
        await codeOf(() =>
          repo.applyWrites([{ action: 'put', collection, rkey: 'big', record: big }]),
        ),
        'LimitExceeded',
        'record',
      )
      const half = { $type: collection, text: 'x'.repeat(900_000) }
      const three = ['a', 'b', 'c'].map((rkey): RepoWrite => {
        return { action: 'put', collection, rkey, record: { ...half, rkey } }
      })
      same(await codeOf(() => repo.applyWrites(three)), 'LimitExceeded', 'commit')
      same((await repo.head()).rev, before, 'rev')
    },
  },
  {
    name: 'refuses a commit that tells anything else than its tree',
    run: async () => {
      const repo = await openWith(40)
      const { commit } = await repo.applyWrites([
        { action: 'delete', collection, rkey: 'k3' },
        { action: 'put', collection, rkey: 'k4', record: { $type: collection, changed: true } },
        { action: 'create', collection, rkey: 'new', record: { $type: collection } },
      ])
      if (commit === undefined) throw new Error('no commit')
      const valid = { ...commit, commit: commit.cid, key }
      verifyCommit(valid)
      const [first, ...others] = valid.ops
      const wrong = await Promise.all(
        [
          { did: 'did:web:mallory.example.com' },
          { rev: '3kaaaaaaaaa22' },
          { commit: value },
          { prevData: value },
          { prevData: undefined },
          { ops: others },
          { ops: [...valid.ops, ...valid.ops] },
          { ops: [{ ...first, action: 'create' }, ...others] },
          { key: createTestKey('other') },
          { blocks: valid.blocks.slice(0, -1) },
        ].map((change) => codeOf(() => verifyCommit({ ...valid, ...change } as typeof valid))),
      )
      same(
        wrong,
        [
          'CommitMismatch',
          'CommitMismatch',
          'CommitMismatch',
          'CommitMismatch',
          'InvalidProof',
          'CommitMismatch',
          'InvalidOps',
          'InvalidOps',
          'InvalidSignature',
          'InvalidCar',
        ],
        'codes',
      )
      const { roots, blocks } = decodeCar(valid.blocks)
      let needed = 0
      for (const { cid } of blocks) {
        const rest = [...blocks].filter((block) => !block.cid.equals(cid))
        const code = await codeOf(() => verifyCommit({ ...valid, blocks: encodeCar(roots, rest) }))
        if (code === 'ProofIncomplete') needed++
        else same(code, 'accept', 'a block that is not needed')
      }
      same(needed > 4, true, 'blocks are needed')
    },
  },
  {
    name: 'tells what a tree is missing from what it does not hold',
    run: async () => {
      const entries = Object.keys(recordsOf(300)).toSorted()
      const { root, nodes } = buildMst(entries.map((path) => [path, value]))
      const tree = Mst.open(root, nodes)
      const path = `${collection}/k77`
      const proof = new Map(tree.proof(path).map(({ cid, bytes }) => [cid.toString(), bytes]))
      const partial = Mst.open(root, (cid) => proof.get(cid.toString()))
      same(partial.get(path)?.toString(), value.toString(), 'present')
      let unknown = 0
      for (const other of entries) {
        const code = await codeOf(() => same(partial.get(other) !== undefined, true, other))
        if (code === 'MissingBlock') unknown++
      }
      same(unknown > 200, true, 'the rest is unknown, not absent')
      const changed = tree.delete(path).put(`${collection}/zzz`, value)
      same(
        [...changed.diff(tree)].map(({ key: at }) => at),
        [path, `${collection}/zzz`],
        'diff',
      )
      same([...tree.entries({ prefix: `${collection}/k29` })].length, 11, 'prefix')
      same(
        changed.delete(`${collection}/zzz`).put(path, value).root.toString(),
        root.toString(),
        'history',
      )
    },
  },
  {
    name: 'refuses a CAR at every truncation but between blocks',
    run: async () => {
      const { car } = await buildRepoCar({ did, signer: key, records: recordsOf(3) })
      let whole = 0
      for (let length = 0; length < car.length; length++) {
        const cut = car.slice(0, length)
        const code = await codeOf(() => decodeCar(cut))
        const streamed = await codeOf(async () => {
          const { blocks } = await readCar([cut.subarray(0, 70), cut.subarray(70)])
          for await (const { cid } of blocks) same(cid.version, 1, 'cid')
        })
        same(streamed, code, `at ${length}`)
        if (code === 'accept') whole++
      }
      same(whole, decodeCar(car).blocks.size, 'ends between blocks')
    },
  },
  {
    name: 'imports blocks in any order, from pieces, and nothing of a foreign CAR',
    run: async () => {
      const { car } = await buildRepoCar({ did, signer: key, records: recordsOf(500) })
      const random = createRandom(8)
      const { roots, blocks } = decodeCar(car)
      const list: Block[] = [...blocks]
      list.sort(() => random.integer(-1, 1))
      const mixed = encodeCar(roots, list)
      const pieces = Array.from({ length: Math.ceil(mixed.length / 1000) }, (_, n) =>
        mixed.slice(n * 1000, (n + 1) * 1000),
      )
      const store = createMemoryRepoStore()
      const mine = createTestKey('mine')
      const foreign = { did: 'did:web:bob.example.com', signer: mine }
      same(await codeOf(() => importRepo(store, pieces, foreign)), 'CommitMismatch', 'foreign')
      same(
        await codeOf(() => importRepo(store, pieces.slice(1), { did, signer: mine })),
        'InvalidCar',
        'cut',
      )
      same(await store.listHeads(), [], 'nothing stored')
      const { head } = await importRepo(store, pieces, { did, key, signer: mine })
      const repo = await Repo.open(store, { did, signer: mine })
      const verified = await verifyRepo(repo.export(), { did, key: mine })
      same([verified.recordCount, verified.rev], [500, head.rev], 'imported')
      const proof = await repo.proof(collection, 'k7')
      same(
        await codeOf(() => verifyRecordProof(proof, { did, key, path: `${collection}/k7` })),
        'InvalidSignature',
        'signed anew',
      )
      const { cid } = verifyRecordProof(proof, { did, key: mine, path: `${collection}/k7` })
      same(cid === undefined, false, 'proven')
    },
  },
  {
    name: 'keeps revs rising when the clock jumps a century to and fro',
    run: async () => {
      const century = 100 * 365 * 86_400_000
      let now = Date.UTC(2026, 0, 1)
      const clock = createTidClock({ now: () => now })
      const { repo, commit } = await Repo.create(createMemoryRepoStore(), {
        did,
        signer: key,
        clock,
      })
      let last = commit.rev
      for (const jump of [century, -century, -century / 4, century, -century]) {
        now += jump
        const { commit: next } = await repo.applyWrites([
          { action: 'put', collection, rkey: 'x', record: { $type: collection, now } },
        ])
        if (next === undefined) throw new Error('no commit')
        same(next.rev > last, true, `${next.rev} is above ${last}`)
        last = next.rev
      }
      // One repo from the future does not take others along.
      const other = await Repo.create(createMemoryRepoStore(), {
        did: 'did:web:b.example.com',
        signer: key,
        clock,
      })
      same(other.commit.rev < last, true, 'others follow the clock')
      const parts = { timestampMicros: 2n ** 53n - 1n, clockId: 1023 }
      same(parseTid(formatTid(parts)).clockId, 1023, 'last tid')
    },
  },
]
