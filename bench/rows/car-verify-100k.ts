import { verifyRepoCar } from '@atproto/repo'
import { verifyRepoSync } from '@skywright/repo'
import { buildSampleRepo, SAMPLE_DID } from '../sample-repo.ts'
import { time, type Row } from '../row.ts'

const RECORDS = 100_000

export const row: Row = {
  work: 'verify the CAR of a repo of 100,000 records: every hash, signature, every node and record',
  unit: 'ms',
  rivalName: '@atproto/repo',
  async measure() {
    const { car, key } = await buildSampleRepo(RECORDS)
    const verify = (): void => {
      const { recordCount } = verifyRepoSync(car, { did: SAMPLE_DID, key: key.publicKey })
      if (recordCount !== RECORDS) throw new Error(`verified ${recordCount} records`)
    }
    verify()
    const ours = await time(verify, 5)
    const rival = await time(async () => {
      const { creates } = await verifyRepoCar(car, SAMPLE_DID, key.didKey)
      if (creates.length !== RECORDS)
        throw new Error(`the rival verified ${creates.length} records`)
    }, 3)
    return {
      ours,
      rival,
      note: `${(car.length / 1e6).toFixed(0)} MB; ours also checks depths, order, prefixes and canonical records, the rival does not`,
    }
  },
}
