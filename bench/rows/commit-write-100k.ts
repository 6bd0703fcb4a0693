import {
  BlockMap,
  MemoryBlockstore,
  readCarWithRoot,
  Repo as RivalRepo,
  WriteOpAction,
} from '@atproto/repo'
import { Repo, type Signer } from '@skywright/repo'
import { buildSampleRepo, createWrite, SAMPLE_DID, sampleRecord } from '../sample-repo.ts'
import { race, type Row } from '../row.ts'

const RECORDS = 100_000
const COLLECTION = 'app.bsky.feed.post'
const WRITES_PER_RUN = 50

/** Signing is measured elsewhere; both sides get the same empty signature. */
const unsigned: Signer = { sign: () => new Uint8Array(64) }

export const row: Row = {
  work: 'commit one record to a repo of 100,000 in memory: record, nodes, covering proof, event CAR; without the signature',
  unit: 'ms',
  rivalName: '@atproto/repo',
  async measure() {
    const { store, car } = await buildSampleRepo(RECORDS)
    const repo = await Repo.open(store, { did: SAMPLE_DID, signer: unsigned })
    const { root, blocks } = await readCarWithRoot(car)
    const storage = new MemoryBlockstore(new BlockMap())
    await storage.putMany(blocks)
    const rival = await RivalRepo.load(storage, root)
    const keypair = {
      did: () => '',
      jwtAlg: 'ES256K',
      sign: () => Promise.resolve(new Uint8Array(64)),
    }
    let next = 0
    let current = rival
    const rates = await race(
      {
        async run() {
          for (let i = 0; i < WRITES_PER_RUN; i++) {
            await repo.applyWrites([createWrite(`${COLLECTION}/bench-${next++}`, next)])
          }
          return WRITES_PER_RUN
        },
      },
      {
        async run() {
          for (let i = 0; i < WRITES_PER_RUN; i++) {
            current = await current.applyWrites(
              {
                action: WriteOpAction.Create,
                collection: COLLECTION,
                rkey: `bench-${next++}`,
                record: sampleRecord(COLLECTION, next),
              } as never,
              keypair as never,
            )
          }
          return WRITES_PER_RUN
        },
      },
    )
    return {
      ours: 1000 / rates.ours,
      rival: 1000 / rates.rival,
      note: 'the rival makes its covering proof too; its event CAR is built elsewhere and not counted',
    }
  },
}
