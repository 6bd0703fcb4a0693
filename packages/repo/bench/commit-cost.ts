/**
 * Prints what a one-record commit costs on repos of 1,000 to 1,000,000 records in memory, without the signature:
 * `node --max-old-space-size=6000 packages/repo/bench/commit-cost.ts`. The cost must follow the depth of the tree, not its size.
 */
import {
  encodeCbor,
  cidForCbor,
  createMemoryRepoStore,
  Repo,
  type Block,
  type RecordPut,
} from '../src/index.ts'
import { signCommit } from '../src/commit.ts'
import { cidFromKey, cidKey } from '../src/cid.ts'
import { buildTree } from '../src/mst/build.ts'

const did = 'did:web:bench.example.com'
const collection = 'com.example.note'
const signer = { sign: () => new Uint8Array(64) }

/** Gives a repo whose records are all one: what is measured is the tree. */
async function fill(size: number): Promise<Repo> {
  const store = createMemoryRepoStore()
  const bytes = encodeCbor({ $type: collection, text: 'the same for all' })
  const cid = cidForCbor(bytes)
  const key = cidKey(cid)
  const rkeys = Array.from({ length: size }, (_, n) => `k${String(n).padStart(8, '0')}`)
  const putNodes: Block[] = []
  const data = buildTree(
    rkeys.map((rkey) => [`${collection}/${rkey}`, key]),
    (node, block) => putNodes.push({ cid: cidFromKey(node), bytes: block }),
  )
  const rev = '3kaaaaaaaaa22'
  const commit = await signCommit({ did, rev, data }, signer)
  const putRecords = rkeys.map((rkey): RecordPut => ({ collection, rkey, cid, bytes, blobs: [] }))
  await store.commit({
    did,
    previous: null,
    head: { did, rev, commit: cidForCbor(commit), data: cidFromKey(data), bytes: commit },
    putNodes,
    deleteNodes: [],
    putRecords,
    deleteRecords: [],
  })
  return Repo.open(store, { did, signer })
}

const ROUNDS = 2000

for (const size of [1_000, 10_000, 100_000, 1_000_000]) {
  const repo = await fill(size)
  const timings: number[] = []
  let blocks = 0
  for (let n = 0; n < ROUNDS; n++) {
    // All over the tree, so that most paths are cold.
    const rkey = `k${String((n * 7_919 * 997) % size).padStart(8, '0')}x`
    const started = performance.now()
    const { commit } = await repo.applyWrites([
      { action: 'put', collection, rkey, record: { $type: collection, text: `number ${n}` } },
    ])
    timings.push(performance.now() - started)
    blocks += commit?.blocks.length ?? 0
  }
  timings.sort((a, b) => a - b)
  const median = timings[Math.floor(timings.length / 2)] ?? 0
  const slow = timings[Math.floor(timings.length * 0.95)] ?? 0
  process.stdout.write(
    `${size} records: median ${median.toFixed(3)} ms, p95 ${slow.toFixed(3)} ms, ${Math.round(blocks / ROUNDS)} bytes of blocks\n`,
  )
}
