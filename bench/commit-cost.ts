import { BlockMap, MemoryBlockstore, Repo as RivalRepo, WriteOpAction } from '@atproto/repo'
import {
  type Block,
  buildMst,
  cidForCbor,
  createMemoryRepoStore,
  encodeCbor,
  Repo,
  type RecordPut,
  type RepoHead,
  type Signer,
} from '@skywright/repo'
import { race, type Row } from './row.ts'

const DID = 'did:web:bench.example.com'
const COLLECTION = 'com.example.note'
const WRITES_PER_RUN = 50

/** Signing is measured elsewhere; both sides get the same empty signature. */
const unsigned: Signer = { sign: () => new Uint8Array(64) }
const unsignedKeypair = {
  did: () => '',
  jwtAlg: 'ES256K',
  sign: () => Promise.resolve(new Uint8Array(64)),
}

interface FilledRepo {
  readonly head: RepoHead
  readonly nodes: readonly Block[]
  readonly records: readonly RecordPut[]
}

/** A repo of `size` records that are all the same one: what is measured is the tree. */
function fill(size: number): FilledRepo {
  const bytes = encodeCbor({ $type: COLLECTION, text: 'the same for all' })
  const cid = cidForCbor(bytes)
  const rkeys = Array.from({ length: size }, (_, n) => `k${String(n).padStart(8, '0')}`)
  const { root, nodes } = buildMst(rkeys.map((rkey) => [`${COLLECTION}/${rkey}`, cid]))
  const rev = '3kaaaaaaaaa22'
  const sig = new Uint8Array(64)
  const commit = encodeCbor({ did: DID, version: 3, data: root, rev, prev: null, sig })
  return {
    head: { did: DID, rev, commit: cidForCbor(commit), data: root, bytes: commit },
    nodes: [...nodes],
    records: rkeys.map((rkey) => ({ collection: COLLECTION, rkey, cid, bytes, blobs: [] })),
  }
}

async function openOurs({ head, nodes, records }: FilledRepo): Promise<Repo> {
  const store = createMemoryRepoStore()
  await store.commit({
    did: DID,
    previous: null,
    head,
    putNodes: nodes,
    deleteNodes: [],
    putRecords: records,
    deleteRecords: [],
  })
  return Repo.open(store, { did: DID, signer: unsigned })
}

async function openRival({ head, nodes }: FilledRepo): Promise<RivalRepo> {
  const blocks = new BlockMap()
  // Its CID class is of another version of the same library.
  for (const { cid, bytes } of nodes) blocks.set(cid as never, bytes)
  blocks.set(head.commit as never, head.bytes)
  return RivalRepo.load(new MemoryBlockstore(blocks), head.commit as never)
}

/** One point of the curve: what a one-record commit costs on a repo of `size` records. */
export function commitCostRow(size: number): Row {
  return {
    work: `commit one record to a repo of ${size.toLocaleString('en-US')} in memory, all over the tree, without the signature`,
    unit: 'ms',
    rivalName: '@atproto/repo',
    async measure() {
      const filled = fill(size)
      const ours = await openOurs(filled)
      let rival = await openRival(filled)
      let next = 0
      // All over the tree, so that most paths are cold.
      const rkey = (): string =>
        `k${String((next * 7_919 * 997) % size).padStart(8, '0')}x${next++}`
      const record = (): Record<string, unknown> => ({ $type: COLLECTION, text: `number ${next}` })
      let blocks = 0
      let commits = 0
      const rates = await race(
        {
          async run() {
            for (let i = 0; i < WRITES_PER_RUN; i++) {
              const { commit } = await ours.applyWrites([
                { action: 'create', collection: COLLECTION, rkey: rkey(), record: record() },
              ])
              blocks += commit?.blocks.length ?? 0
              commits++
            }
            return WRITES_PER_RUN
          },
        },
        {
          async run() {
            for (let i = 0; i < WRITES_PER_RUN; i++) {
              const write = {
                action: WriteOpAction.Create,
                collection: COLLECTION,
                rkey: rkey(),
                record: record(),
              }
              rival = await rival.applyWrites(write as never, unsignedKeypair as never)
            }
            return WRITES_PER_RUN
          },
        },
      )
      return {
        ours: 1000 / rates.ours,
        rival: 1000 / rates.rival,
        note: `${Math.round(blocks / commits).toLocaleString('en-US')} bytes of blocks a commit; compare the four commit-cost rows: the cost follows the depth of the tree`,
      }
    },
  }
}
