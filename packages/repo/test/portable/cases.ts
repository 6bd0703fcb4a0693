/**
 * The engine's behaviour as plain cases, without a test runner or anything of Node: the same bundle runs on Node, Bun, Deno
 * and workerd.
 */
import {
  buildMst,
  checkCbor,
  cidForCbor,
  createMemoryRepoStore,
  createTidClock,
  decodeCar,
  decodeCbor,
  encodeCar,
  encodeCbor,
  importRepo,
  isTid,
  jsonToLex,
  keyDepth,
  lexToJson,
  Mst,
  readRepo,
  Repo,
  type RepoWrite,
  verifyCommit,
  verifyRecordProof,
  verifyRepo,
  verifyRepoSync,
} from '../../src/index.ts'
import { createTestKey, REPO_DEFECTS, repoStoreCases } from '../../src/testing/index.ts'
import { createRandom } from '../random.ts'
import { codeOf, type PortableCase, same } from './portable-case.ts'
import { REFUSAL_CASES } from './refusal-cases.ts'

const did = 'did:web:alice.example.com'
const key = createTestKey()
const collection = 'com.example.note'

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

function defectCases(): readonly PortableCase[] {
  return REPO_DEFECTS.map(({ name, expected = 'accept', build }) => ({
    name: `verdict on ${name}`,
    run: async () => {
      const car = await build({ did, signer: key })
      same(await codeOf(() => verifyRepoSync(car, { did, key })), expected, 'in memory')
      same(await codeOf(() => verifyRepo([car], { did, key })), expected, 'pausing')
      const streamed = await codeOf(async () => {
        for await (const { path } of (await readRepo([car], { did, key })).records)
          same(path.length > 3, true, 'path')
      })
      same(streamed, name === 'node-shared' ? 'MissingBlock' : expected, 'streaming')
    },
  }))
}

const GOLDEN: readonly (readonly [key: string, depth: number])[] = [
  ['2653ae71', 0],
  ['blue', 1],
  ['88bfafc7', 2],
  ['2a92d355', 4],
  ['884976f5', 6],
  ['app.bsky.feed.post/454397e440ec', 4],
  ['app.bsky.feed.post/9adeb165882c', 8],
]

const CODEC_CASES: readonly PortableCase[] = [
  {
    name: 'golden depths, empty tree and data-model encoding',
    run: async () => {
      for (const [text, depth] of GOLDEN) same(keyDepth(text), depth, text)
      same(
        Mst.empty().root.toString(),
        'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm',
        'empty tree',
      )
      const record = { a: [1, -1, null, true], text: 'ä😀\ufeff', bytes: Uint8Array.of(1, 2, 3) }
      const bytes = encodeCbor(record)
      checkCbor(bytes)
      same(encodeCbor(decodeCbor(bytes)).join(), bytes.join(), 'round trip')
      same(encodeCbor(jsonToLex(lexToJson(record))).join(), bytes.join(), 'through JSON')
      for (const hex of [
        'f93c00',
        'f7',
        '9fff',
        '1800',
        'a2616201616102',
        'c24101',
        '61ff',
        '0000',
        '',
      ]) {
        same(await codeOf(() => decodeCbor(fromHex(hex))), 'InvalidCbor', hex)
      }
    },
  },
  {
    name: 'trees do not depend on the order of writing',
    run: async () => {
      const random = createRandom(9)
      const value = cidForCbor(encodeCbor({}))
      for (let round = 0; round < 20; round++) {
        const keys = [
          ...new Set(Array.from({ length: 60 }, () => `${collection}/${random.integer(0, 1e6)}`)),
        ]
        const built = buildMst(keys.toSorted().map((path) => [path, value]))
        let tree = Mst.empty().put('com.example.zzz/gone', value)
        for (const path of keys) tree = tree.put(path, value)
        tree = tree.delete('com.example.zzz/gone')
        same(tree.root.toString(), built.root.toString(), 'root')
        same(
          Mst.open(built.root, built.nodes)
            .get(keys[0] ?? '')
            ?.toString(),
          value.toString(),
          'get',
        )
      }
    },
  },
  {
    name: 'clocks give TIDs that rise',
    run: async () => {
      const clock = createTidClock()
      let last = ''
      for (let i = 0; i < 1000; i++) {
        const tid = clock.next()
        same(isTid(tid) && tid > last, true, tid)
        last = tid
      }
    },
  },
]

const REPO_CASES: readonly PortableCase[] = [
  {
    name: 'random batches verify by inversion, and the repo exports, proves and imports',
    run: async () => {
      const random = createRandom(31)
      const { repo } = await Repo.create(createMemoryRepoStore(), { did, signer: key })
      const present = new Set<string>()
      for (let round = 0; round < 120; round++) {
        const writes = new Map<string, RepoWrite>()
        for (let i = random.integer(1, 20); i > 0; i--) {
          const rkey = `k${random.integer(0, 400)}`
          if (writes.has(rkey)) continue
          if (present.delete(rkey)) writes.set(rkey, { action: 'delete', collection, rkey })
          else {
            present.add(rkey)
            writes.set(rkey, {
              action: 'create',
              collection,
              rkey,
              record: { $type: collection, rkey },
            })
          }
        }
        const { commit } = await repo.applyWrites([...writes.values()])
        if (commit === undefined) throw new Error('no commit')
        const { rev, ops, blocks, since, prevData } = commit
        verifyCommit({ did, rev, commit: commit.cid, ops, blocks, since, prevData, key })
      }
      const verified = await verifyRepo(repo.export(), { did, key })
      same(verified.recordCount, present.size, 'records')
      const store = createMemoryRepoStore()
      const { recordCount } = await importRepo(store, repo.export(), { did, signer: key, key })
      same(recordCount, present.size, 'imported')
      const proof = await repo.proof(collection, 'nothing')
      same(
        verifyRecordProof(proof, { did, key, path: `${collection}/nothing` }).cid,
        undefined,
        'absence',
      )
    },
  },
  {
    name: 'CARs are written and read back',
    run: async () => {
      const blocks = Array.from({ length: 50 }, (_, n) =>
        encodeCbor({ n, text: 'x'.repeat(n * 100) }),
      ).map((bytes) => ({ cid: cidForCbor(bytes), bytes }))
      const [first] = blocks
      if (first === undefined) throw new Error('no block')
      same(decodeCar(encodeCar([first.cid], blocks)).blocks.size, 50, 'blocks')
    },
  },
]

/** All cases. */
export function portableCases(): readonly PortableCase[] {
  return [
    ...CODEC_CASES,
    ...REPO_CASES,
    ...REFUSAL_CASES,
    ...defectCases(),
    ...repoStoreCases((events) => createMemoryRepoStore({ events })),
  ]
}

/** Runs all cases and gives what happened. */
export async function runPortableCases(): Promise<{
  readonly passed: number
  readonly failed: readonly string[]
}> {
  let passed = 0
  const failed: string[] = []
  for (const { name, run } of portableCases()) {
    try {
      await run()
      passed++
    } catch (error) {
      failed.push(`${name}: ${String(error)}`)
    }
  }
  return { passed, failed }
}
