import { fromUint8Array } from '@atcute/repo'
import { verifyRepoSync } from '@skywright/repo'
import { buildSampleRepo } from '../sample-repo.ts'
import { race, type Row } from '../row.ts'

const RECORDS = 30_000

export const row: Row = {
  work: 'iterate the records of a repo CAR in path order; ours checks every hash and node, the rival none',
  unit: '/s',
  rivalName: '@atcute/repo',
  async measure() {
    const { car } = await buildSampleRepo(RECORDS)
    const rates = await race(
      {
        run() {
          let count = 0
          for (const { path, bytes } of verifyRepoSync(car).records())
            count += path.length > 0 && bytes.length > 0 ? 1 : 0
          return expectAll(count)
        },
      },
      {
        run() {
          let count = 0
          for (const { collection, rkey, bytes } of fromUint8Array(car))
            count += collection.length > 0 && rkey.length > 0 && bytes.length > 0 ? 1 : 0
          return expectAll(count)
        },
      },
    )
    return { ...rates, note: `${RECORDS.toLocaleString('en-US')} records, undecoded` }
  },
}

function expectAll(count: number): number {
  if (count !== RECORDS) throw new Error(`iterated ${count} records`)
  return count
}
